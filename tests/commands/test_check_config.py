"""`check-config` exits with 0 exactly where `serve` starts, and tells every problem at once."""

import asyncio
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

from gateway.app import Gateway
from gateway.commands.serving.start_rules import START_RULES
from gateway.credentials.development_key import public_jwks
from gateway.settings.loading.load import SettingsError, load_settings
from gateway.settings.loading.settings_table import describe_settings
from gateway.settings.model import Settings
from gateway.telemetry.audit_log import AuditLog
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.telemetry import Telemetry

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"
LONG_SECRET = "0123456789abcdefghij"


@functools.cache
def make_files(folder: Path) -> dict[str, str]:
    """Files of every kind that a setting may name."""
    contents: dict[str, bytes] = {
        "jwks": json.dumps(public_jwks(ECKey.generate_key("P-256"))).encode(),
        "no-keys": b'{"keys": []}',
        "signing-key": json.dumps(
            RSAKey.generate_key(2048, parameters={"kid": "k"}, private=True).as_dict(private=True)
        ).encode(),
        "garbage": b"\xff\x00garbage",
        "empty": b"",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: str(folder / name) for name in contents} | {
        "missing": str(folder / "missing"),
        "folder": str(folder),
        "too long": str(folder / ("x" * 300)),
    }


def valid_values(files: Mapping[str, str]) -> dict[str, Any]:
    """A configuration with everything in it that needs more than valid settings."""
    return {
        "public_base_url": "https://gateway.example.org/fhir",
        "upstream": {"base_url": "http://127.0.0.1:9/fhir"},
        "metrics": {"port": 9090},
        "issuers": [
            {"issuer": "https://a", "audiences": ["https://gateway.example.org/fhir"], "jwks_file": files["jwks"]},
            {"issuer": "https://b", "audiences": ["https://gateway.example.org/fhir"], "jwks_url": "https://b/jwks"},
        ],
        "smart_server": {
            "store": "memory://",
            "signing_key_file": files["signing-key"],
            "admin_token": LONG_SECRET,
            "clients": [
                {"client_id": "a", "name": "A", "redirect_uris": ["https://a.example/c"]},
                {"client_id": "b", "name": "B", "redirect_uris": ["https://b.example/c"],
                 "type": "confidential-symmetric", "client_secret": LONG_SECRET},
            ],
            "users": [{"username": "u", "name": "U", "password_hash": HASH, "fhir_user": "Practitioner/1"}],
            "launchers": [{"client_id": "ehr", "client_secret": LONG_SECRET}],
            "identity_providers": [
                {"name": "P", "issuer": "https://p", "client_id": "g", "client_secret": LONG_SECRET}
            ],
        },
        "audit": {"destination": "stdout"},
    }  # fmt: skip


def problems_of(folder: Path, values: Mapping[str, Any]) -> list[str]:
    """The problems that `check-config` and `serve` tell; none if the gateway starts."""
    config = folder / "gateway.yaml"
    config.write_text(json.dumps(values), encoding="utf-8")
    try:
        load_settings(config, {}, START_RULES)
    except SettingsError as error:
        return [str(problem).replace(f"{config}:1: ", "") for problem in error.problems]
    return []


async def build(valid: Settings) -> None:
    """Build what `serve` builds, and close it."""
    audit = AuditLog.from_settings(valid.audit)
    gateway = Gateway(valid, Telemetry(Metrics(), audit))
    await gateway.pool.aclose()
    audit.close()


TEXTS = [
    "", "x", "demo", "memory://", "postgres://x", "redis://h", "redis://u@h", "redis://h:99999", "rediss://h",
    "redis+cluster://h", "redis+cluster://h/1", "redis+sentinel://h", "redis+sentinel://h/s", "https://h", "https://h/",
    "https://h/{a:b}", "https://h//x", "https://[::1]/x", "https://[/x", "http://127.0.0.1:1/fhir", "https://h:0/x",
    "https://h/%zz", "https://gateway.example.org/auth", HASH, LONG_SECRET, "patient/*.rs", "stdout", "0.0.0.0", "*",
    "basic", "bearer", "client_credentials", "RS256", "Patient", "10.0.0.0/8", "\u200b",
]  # fmt: skip
KEYS = [setting.key.replace("[]", ".0") for setting in describe_settings()]


def odd_values(files: Mapping[str, str]) -> st.SearchStrategy[Any]:
    leaf = st.sampled_from([*TEXTS, *files.values(), None, True, False, -1, 0, 1, 2.5, 8080, 70_000, 10**30])
    return st.recursive(
        leaf,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(TEXTS), inner, max_size=1),
        max_leaves=3,
    )


def put(values: Any, key: str, value: object) -> None:
    """Set the value at a key such as `issuers.0.jwks_url`, where there is a place for it."""
    *path, last = key.split(".")
    for part in path:
        if isinstance(values, list):
            values = values[int(part)] if values and part.isdigit() else {}
        elif isinstance(values, dict):
            values = values.setdefault(part, {})
    if isinstance(values, dict):
        values[last] = value


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_gateway_can_be_built_of_every_configuration_without_problems(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / "check-config"
    folder.mkdir(exist_ok=True)
    files = make_files(folder)
    values = valid_values(files)
    values["development"] = data.draw(st.booleans(), "development")
    for key in data.draw(st.lists(st.sampled_from(KEYS), max_size=3), "settings"):
        put(values, key, data.draw(odd_values(files), key))
    problems = problems_of(folder, values)
    assert not any("is not valid" in problem for problem in problems if "YAML" not in problem), problems
    if not problems:
        asyncio.run(build(load_settings(folder / "gateway.yaml", {})))


REFUSED = {
    "a key set that is not JSON in UTF-8": (
        {"issuers.0.jwks_file": "{garbage}"},
        "issuers[0].jwks_file: cannot be used: the document is not JSON in UTF-8",
    ),
    "a store of another kind": ({"smart_server.store": "postgres://x"}, "smart_server.store: cannot be used: The"),
    "a database of a cluster": ({"smart_server.store": "redis+cluster://host/1"}, "smart_server.store: cannot be used"),
    "a certificate authority for a store without TLS": (
        {"smart_server.store_ca_file": "{jwks}"},
        "smart_server.store_ca_file: cannot be used: A file of trusted authorities is given, but",
    ),
    "a password where its hash is due": (
        {"smart_server.users.0.password_hash": "demo"},
        "smart_server.users[0].password_hash: must be an argon2 hash, which begins with $argon2",
    ),
    "a secret where its hash is due": (
        {"smart_server.clients.1.client_secret": None, "smart_server.clients.1.client_secret_hash": "plain"},
        "smart_server.clients[1].client_secret_hash: must be an argon2 hash",
    ),
    "a short admin token": (
        {"smart_server.admin_token": "abc"},
        "smart_server.admin_token: must have at least 16 characters, 8 of them different",
    ),
    "an admin token of one character": (
        {"smart_server.admin_token": "a" * 40},
        "smart_server.admin_token: must have at least 16 characters, 8 of them different",
    ),
    "a short secret of an app": (
        {"smart_server.clients.1.client_secret": "abc"},
        "smart_server.clients[1].client_secret: must have at least 16 characters",
    ),
    "a short secret of a launcher": (
        {"smart_server.launchers.0.client_secret": "abc"},
        "smart_server.launchers[0].client_secret: must have at least 16 characters",
    ),
    "a short key of the audit log": (
        {"audit.hash_patient": True, "audit.hash_key": "abc"},
        "audit.hash_key: must have at least 16 characters",
    ),
    "a signing key that is none": (
        {"smart_server.signing_key_file": "{garbage}"},
        "smart_server.signing_key_file: cannot be used: The signing key must be",
    ),
    "a logo that is no picture": (
        {"smart_server.branding": {}, "smart_server.branding.logo": "{garbage}"},
        "smart_server.branding.logo: cannot be used: it is neither a PNG file nor well-formed SVG",
    ),
    "brands that are none": (
        {"user_access_brands": {}, "user_access_brands.bundle": "{garbage}"},
        "user_access_brands.bundle: cannot be used: it is not JSON",
    ),
    "keys that are none": ({"issuers.0.jwks_file": "{garbage}"}, "issuers[0].jwks_file: cannot be used"),
    "keys without a key": (
        {"issuers.0.jwks_file": "{no-keys}"},
        "issuers[0].jwks_file: cannot be used: it holds no public RSA or EC key that may verify signatures",
    ),
    "certificates that are none": (
        {"upstream.base_url": "https://fhir.example.org/r4", "upstream.tls.ca_file": "{garbage}"},
        "upstream.tls: cannot be used: The certificates for the FHIR server cannot be used",
    ),
    "authorities of a collector that are none": (
        {"tracing.endpoint": "https://collector/v1/traces", "tracing.ca_file": "{garbage}"},
        "tracing.ca_file: cannot be used",
    ),
    "an audit log in a folder": ({"audit.destination": "{folder}"}, "audit.destination: cannot be used: it is a dir"),
    "an audit log of too long a name": ({"audit.destination": "{too long}"}, "audit.destination: cannot be used: file"),
    "a path that no route can be made of": (
        {"smart_server.issuer": "https://gateway.example.org/{a:b}"},
        "smart_server.issuer: must have a path without //",
    ),
    "a text that is too long": (
        {"smart_server.users.0.name": "x" * 201},
        "smart_server.users[0].name: must have at most 200 characters",
    ),
    "a user that is no person": (
        {"smart_server.users.0.fhir_user": "Device/1"},
        "smart_server.users[0].fhir_user: must be a Patient, Practitioner, PractitionerRole",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_configuration_is_refused_with_a_sentence_for(
    tmp_path: Path, changes: dict[str, object], problem: str
) -> None:
    files = make_files(tmp_path)
    values = valid_values(files)
    assert problems_of(tmp_path, values) == []
    for key, value in changes.items():
        path = files.get(value.strip("{}")) if isinstance(value, str) and value.startswith("{") else None
        put(values, key, path or value)
    [told] = problems_of(tmp_path, values)
    assert told.startswith(problem)


def test_what_is_weak_will_do_for_development(tmp_path: Path) -> None:
    values = valid_values(make_files(tmp_path)) | {"development": True}
    put(values, "smart_server.admin_token", "abc")
    assert problems_of(tmp_path, values) == []


def test_the_second_run_tells_nothing_new(tmp_path: Path) -> None:
    values = valid_values(make_files(tmp_path))
    for key, value in {
        "listen.port": "80",
        "metrics.port": 70_000,
        "upstream.pool.connections": 0,
        "upstream.pool.read_timeout_seconds": 90.0,
        "issuers.0.issuer": "https://b",
        "issuers.0.clock_skew_seconds": -1,
        "smart_server.store": "postgres://x",
        "smart_server.admin_token": "abc",
        "smart_server.login_attempts": 0,
        "smart_server.clients.0.client_id": "b",
        "smart_server.clients.0.name": "",
        "smart_server.clients.0.redirect_uris": [],
        "smart_server.clients.0.jwks_uri": "https://a.example/jwks",
        "audit.hash_patient": "yes",
        "audit.destination": str(tmp_path),
    }.items():
        put(values, key, value)
    told = [problem.partition(": ")[0] for problem in problems_of(tmp_path, values)]
    assert sorted(told) == [
        "audit.destination",
        "audit.hash_patient",
        "issuers[0].clock_skew_seconds",
        "issuers[1].issuer",
        "listen.port",
        "metrics.port",
        "smart_server.admin_token",
        "smart_server.clients[0].jwks_uri",
        "smart_server.clients[0].name",
        "smart_server.clients[0].redirect_uris",
        "smart_server.clients[1].client_id",
        "smart_server.login_attempts",
        "smart_server.store",
        "upstream.pool.connections",
        "upstream.pool.read_timeout_seconds",
    ]
