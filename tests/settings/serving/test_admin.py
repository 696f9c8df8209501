"""The admin port: who may be missing, which names and addresses are accepted, and what is never shown."""

import json
from pathlib import Path

import pytest

from gateway.settings.loading.problem import dotted_path
from gateway.settings.loading.shown_settings import MASK, shown_settings
from gateway.settings.model import Settings
from gateway.settings.serving.restart import find_restart_settings, needs_restart
from gateway.settings.warnings import find_warnings
from tests.settings.configuration import HTTPS, LEAST, in_file, load, problems

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
TOKEN_HASH = "sha256:" + "0" * 64
PROVIDER = (
    "smart_server: {identity_providers: [{name: Clinic, issuer: https://login.example, client_id: g, "
    "client_secret: a-long-secret-of-ours%s}]}\n"
)
SERVER = "smart_server: {}\n"
ACCOUNT = f"{{name: olga, password_hash: '{HASH}', role: operator}}"
ACCOUNTS = f"accounts: [{ACCOUNT}]"


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        pytest.param(
            SERVER + "admin: {port: 9443}",
            "9: admin.accounts: must name somebody, or tokens or provider must, because there is a port",
            id="nobody who may enter",
        ),
        pytest.param(
            f"admin: {{port: 9443, {ACCOUNTS}}}",
            "8: admin.port: needs smart_server, whose store has the sessions of administrators",
            id="no store for sessions",
        ),
        pytest.param(
            SERVER + f"admin: {{host: 0.0.0.0, port: 9443, {ACCOUNTS}}}",
            "9: admin.base_url: is required, because 0.0.0.0 can be reached from other machines",
            id="an address that others reach, without a name",
        ),
        pytest.param(
            SERVER + f"admin: {{port: 9443, base_url: 'http://admin.example', {ACCOUNTS}}}",
            f"9: admin.base_url: {HTTPS}",
            id="passwords in the clear",
        ),
        pytest.param(
            SERVER + f"admin: {{port: 9443, base_url: '*', {ACCOUNTS}}}",
            f"9: admin.base_url: {HTTPS}",
            id="any name",
        ),
        pytest.param(
            SERVER + f"admin: {{port: 8080, {ACCOUNTS}}}",
            "9: admin.port: must differ from listen.port",
            id="the public port",
        ),
        pytest.param(
            SERVER + f"admin: {{port: 9090, {ACCOUNTS}}}",
            "9: admin.port: must differ from metrics.port",
            id="the metrics port",
        ),
        pytest.param(
            SERVER + f"admin: {{accounts: [{ACCOUNT}, {ACCOUNT}]}}",
            "9: admin.accounts[1].name: is the same as accounts[0].name",
            id="two accounts of one name",
        ),
        pytest.param(
            SERVER + "admin: {accounts: [{name: olga, password_hash: demo, role: operator}]}",
            "9: admin.accounts[0].password_hash: must be an argon2 hash, which begins with $argon2; "
            "`users add --print-hash` prints one",
            id="a password in place of its hash",
        ),
        pytest.param(
            SERVER + "admin: {tokens: [{name: ci, token_hash: demo, role: operator}]}",
            "9: admin.tokens[0].token_hash: must be sha256: and 64 hexadecimal digits; `admin token` prints a token "
            "and its hash",
            id="a token in place of its hash",
        ),
        pytest.param(
            PROVIDER % "" + "admin: {base_url: 'https://a.example', provider: {issuer: 'https://login.example', "
            "operator_roles: [x]}}",
            "9: admin.provider.issuer: is of a provider without roles_claim, which tells no roles",
            id="a provider that tells no roles",
        ),
        pytest.param(
            PROVIDER % ", roles_claim: roles" + "admin: {base_url: 'https://a.example', provider: {issuer: "
            "'https://other.example', operator_roles: [x]}}",
            "9: admin.provider.issuer: must be that of one of smart_server.identity_providers",
            id="an unknown provider",
        ),
        pytest.param(
            PROVIDER % ", roles_claim: roles" + "admin: {base_url: 'https://a.example', provider: {issuer: "
            "'https://login.example'}}",
            "9: admin.provider: needs operator_roles or auditor_roles: nobody could sign in",
            id="no roles",
        ),
        pytest.param(
            PROVIDER % ", roles_claim: roles" + "admin: {provider: {issuer: 'https://login.example', "
            "operator_roles: [x]}}",
            "9: admin.base_url: is required by provider, which sends browsers back there",
            id="no way back from the provider",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_named(tmp_path: Path, added: str, problem: str) -> None:
    assert problems(tmp_path, LEAST + added) == [in_file(problem)]


@pytest.mark.parametrize(
    ("added", "is_https"),
    [
        pytest.param(f"{{port: 9443, {ACCOUNTS}}}", False, id="this machine alone"),
        pytest.param(f"{{host: '::1', port: 9443, {ACCOUNTS}}}", False, id="this machine alone, by IPv6"),
        pytest.param(f"{{host: 0.0.0.0, port: 9443, base_url: 'https://a.example', {ACCOUNTS}}}", True,
                     id="behind a proxy that ends TLS"),
    ],
)  # fmt: skip
def test_what_is_valid(tmp_path: Path, added: str, is_https: bool) -> None:
    assert load(tmp_path, f"{LEAST}{SERVER}admin: {added}").admin.uses_https is is_https


@pytest.mark.parametrize(
    ("base_url", "warned"),
    [
        pytest.param("https://fhir.example.org:9443", ["admin.base_url"], id="the host of the apps, at another port"),
        pytest.param("https://admin.example.org", [], id="a host of its own"),
    ],
)
def test_a_host_that_shares_its_cookies_is_warned_about(tmp_path: Path, base_url: str, warned: list[str]) -> None:
    settings = _settings(tmp_path, f"{{port: 9443, base_url: '{base_url}', {ACCOUNTS}}}")
    found = [dotted_path(warning.path) for warning in find_warnings(settings)]
    assert [path for path in found if path.startswith("admin")] == warned


def _settings(tmp_path: Path, admin: str) -> Settings:
    return load(tmp_path, f"{LEAST}{SERVER}admin: {admin}")


def test_accounts_change_by_a_reload_and_the_port_by_a_restart(tmp_path: Path) -> None:
    before = _settings(tmp_path, f"{{port: 9443, {ACCOUNTS}}}")
    auditor = f"{{port: 9443, {ACCOUNTS.replace('operator', 'auditor')}}}"
    assert find_restart_settings(before, _settings(tmp_path, auditor)) == ()
    other_port = f"{{port: 9444, {ACCOUNTS}}}"
    assert find_restart_settings(before, _settings(tmp_path, other_port)) == ("admin.port",)
    assert needs_restart("admin.recent_decisions_bytes")


def test_what_administrators_see_of_the_settings_has_no_secret(tmp_path: Path) -> None:
    text = (
        LEAST
        + "smart_server:\n  admin_token: a-long-admin-token-of-ours\n  store: redis://:password-of-the-store@r:1\n"
        f"  users: [{{username: u, name: U, password_hash: '{HASH}'}}]\n"
        f"  clients: [{{client_id: c, name: C, type: confidential-symmetric, redirect_uris: ['https://c.example/c'], "
        f"client_secret_hash: '{TOKEN_HASH}'}}]\n"
        f"admin: {{port: 9443, {ACCOUNTS}, tokens: [{{name: ci, token_hash: '{TOKEN_HASH}', role: auditor}}]}}\n"
    )
    shown = shown_settings(load(tmp_path, text))
    assert shown["smart_server"]["admin_token"] == MASK
    assert shown["smart_server"]["users"][0] == {
        "username": "u", "name": "U", "password_hash": MASK, "fhir_user": None, "roles": []
    }  # fmt: skip
    assert shown["admin"]["tokens"][0]["token_hash"] == MASK
    encoded = json.dumps(shown)
    for secret in ("a-long-admin-token-of-ours", "password-of-the-store", "argon2", TOKEN_HASH):
        assert secret not in encoded
