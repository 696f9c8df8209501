"""Every problem is reported at once, each with its place and a sentence."""

from pathlib import Path

import pytest

from gateway.settings.loading.load import SettingsError, load_settings
from tests.settings.configuration import ALGORITHMS, HTTPS, LEAST, in_file, problems

# Added to the least configuration, whose lines are 1 to 7: the text, and the only problem.
ADDED = {
    "a misspelt section": ("limit: {}", "8: limit: is not a setting; did you mean limits?"),
    "a setting unlike any other": ("xyzzy: 1", "8: xyzzy: is not a setting"),
    "a misspelt setting inside a section": (
        "listen:\n  prot: 80",
        "9: listen.prot: is not a setting; did you mean port?",
    ),
    "a number in quotes": ('listen:\n  port: "80"', "9: listen.port: must be a whole number"),
    "a fraction where a whole number is due": ("listen: {port: 80.5}", "8: listen.port: must be a whole number"),
    "a truth value where a number is due": ("listen: {port: true}", "8: listen.port: must be a whole number"),
    "an octal number": ("listen: {port: 0644}", "8: listen.port: must be a whole number"),
    "a port that is none": ("listen: {port: 65536}", "8: listen.port: must be at most 65535"),
    "both ports the same": ("metrics: {port: 8080}", "8: metrics.port: must differ from listen.port"),
    "a number where text is due": ("listen: {host: 1}", "8: listen.host: must be text; put it in quotes"),
    "text where a truth value is due": ("development: 1", "8: development: must be true or false"),
    "a truth value of an old spelling in quotes": ('development: "yes"', "8: development: must be true or false"),
    "a list where a group is due": ("listen: [1]", "8: listen: must be a group of settings"),
    "a group where a list is due": ("cors: {allowed_origins: {a: b}}", "8: cors.allowed_origins: must be a list"),
    "no number at all": ("token_cache: {max_age_seconds: .inf}", "8: token_cache.max_age_seconds: must be a number"),
    "a time of nothing": ("token_cache: {max_age_seconds: 0}", "8: token_cache.max_age_seconds: must be more than 0"),
    "a cache of nothing": ("token_cache: {entries: 0}", "8: token_cache.entries: must be at least 1"),
    "an unknown log level": ("log_level: loud", "8: log_level: must be 'debug', 'info', 'warning' or 'error'"),
    "an origin with a path": (
        "cors: {allowed_origins: [https://a.example/]}",
        "8: cors.allowed_origins[0]: must be an origin: scheme, host and port alone, as in https://app.example.org",
    ),
    "any origin in production": (
        'cors: {allowed_origins: ["*"]}',
        "8: cors.allowed_origins: may hold * only under development: true",
    ),
    "a short paging key": ("paging: {key: c2hvcnQ=}", "8: paging.key: must be base64 of at least 32 random bytes"),
    "a paging key that is not base64": ("paging: {key: 'not base64!'}", "8: paging.key: must be base64"),
    "a hash without a key": (
        "audit: {hash_patient: true}",
        "8: audit.hash_key: is required when hash_patient or hash_typed_user is true",
    ),
    "a key without a hash": (
        "audit: {hash_key: 0123456789abcdef}",
        "8: audit.hash_key: is used only when hash_patient or hash_typed_user is true",
    ),
    "an audit file nowhere": (
        "audit: {destination: /nowhere/at/all.log}",
        "8: audit.destination: names a directory that does not exist",
    ),
}


def test_the_least_configuration_is_valid(tmp_path: Path) -> None:
    assert problems(tmp_path, LEAST) == []


@pytest.mark.parametrize(("text", "problem"), ADDED.values(), ids=ADDED)
def test_an_addition_is_refused_with_its_line_and_a_sentence(tmp_path: Path, text: str, problem: str) -> None:
    assert problems(tmp_path, f"{LEAST}{text}\n") == [in_file(problem)]


def test_every_problem_is_told_at_once_in_the_order_of_the_file_then_of_the_variables(tmp_path: Path) -> None:
    text = """\
public_base_url: http://fhir.example.org/r4
listen: {port: "80"}
upstream:
  pool:
    connections: 0
    connections: 8
    conections: 8
  authentication:
    kind: basic
    username: gateway
    password_file: /nowhere
issuers:
  - issuer: https://login.example.org
    audiences: []
    algorithms: [none]
cors: {allowed_origins: ["*"]}
"""
    environ = {"SMART_GATEWAY__LOG_LEVEL": "loud", "SMART_GATEWAY__LOG": "x", "SMART_GATEWAY__LISTEN__HOST": ""}
    assert problems(tmp_path, text, environ) == [
        f"gateway.yaml:1: public_base_url: {HTTPS}",
        "gateway.yaml:2: listen.port: must be a whole number",
        "gateway.yaml:3: upstream.base_url: is required",
        "gateway.yaml:5: upstream.pool.connections: must be at least 1",
        "gateway.yaml:6: upstream.pool.connections: is given twice (first on line 5)",
        "gateway.yaml:7: upstream.pool.conections: is not a setting; did you mean connections?",
        "gateway.yaml:11: upstream.authentication.password_file: cannot be read: no such file or directory",
        "gateway.yaml:13: issuers[0]: needs one of jwks_url, jwks_file and introspection",
        "gateway.yaml:14: issuers[0].audiences: must not be empty",
        f"gateway.yaml:15: issuers[0].algorithms[0]: {ALGORITHMS}",
        "gateway.yaml:16: cors.allowed_origins: may hold * only under development: true",
        "SMART_GATEWAY__LISTEN__HOST: listen.host: must not be empty",
        "SMART_GATEWAY__LOG: names no setting",
        "SMART_GATEWAY__LOG_LEVEL: log_level: must be 'debug', 'info', 'warning' or 'error'",
    ]


def test_without_a_file_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {})
    assert [str(problem) for problem in caught.value.problems] == [
        "public_base_url: is required",
        "upstream: is required",
        "issuers: must name at least one issuer, or smart_server must be given",
    ]
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
