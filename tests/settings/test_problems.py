"""What an operator is told: every problem at once, each with its place and a plain sentence."""

from pathlib import Path

import pytest

from gateway.settings.load import SettingsError, load_settings
from tests.settings.configuration import LEAST, load, problems

HTTPS = "must start with https:// (http:// is for loopback under development: true)"
ALGORITHMS = "must be 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384' or 'ES512'"

# What is added to the least configuration (its lines are 1 to 7), and the only thing that is said.
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
    "a hash without a key": ("audit: {hash_patient: true}", "8: audit.hash_key: is required when hash_patient is true"),
    "a key without a hash": ("audit: {hash_key: k}", "8: audit.hash_key: is used only when hash_patient is true"),
    "an audit file nowhere": (
        "audit: {destination: /nowhere/at/all.log}",
        "8: audit.destination: names a directory that does not exist",
    ),
    "a type that R4 does not have": (
        "compartments: {shared_types: [Organisation]}",
        "8: compartments.shared_types[0]: must be a resource type of FHIR R4, and 'Organisation' is none",
    ),
    "a patient's records shared with everyone": (
        "compartments: {shared_types: [Observation]}",
        "8: compartments.shared_types: must not hold Observation, whose records each belong to a patient",
    ),
    "a type searchable that is not shared": (
        "compartments: {searchable_shared_types: [Slot]}",
        "8: compartments.searchable_shared_types: holds Slot, which is not in shared_types",
    ),
    "membership by a parameter that R4 does not have": (
        "compartments: {extra_membership: {Task: [patience]}}",
        "8: compartments.extra_membership.Task: names 'patience', which is no reference parameter of Task in R4",
    ),
    "membership by a parameter that is no reference": (
        "compartments: {extra_membership: {Task: [status]}}",
        "8: compartments.extra_membership.Task: names 'status', which is no reference parameter of Task in R4",
    ),
    "membership of a type that R4 does not have": (
        "compartments:\n  extra_membership:\n    Tusk: [patient]",
        "10: compartments.extra_membership.Tusk: must be a resource type of FHIR R4, and 'Tusk' is none",
    ),
    "a panel without a search": (
        "compartments: {practitioner_reach: panel}",
        "8: compartments.panel: is required when practitioner_reach is panel",
    ),
    "a search without a panel": (
        "compartments: {panel: [{resource_type: CareTeam, parameter: participant, patient_element: subject}]}",
        "8: compartments.panel: is used only when practitioner_reach is panel",
    ),
    "a panel by a parameter that cannot name a user": (
        "compartments: {practitioner_reach: panel, panel: [{resource_type: CareTeam, parameter: status, "
        "patient_element: subject}]}",
        "8: compartments.panel[0].parameter: must be a reference parameter of CareTeam in R4",
    ),
    "a reach that is none": (
        "compartments: {practitioner_reach: some}",
        "8: compartments.practitioner_reach: must be 'all', 'compartment' or 'panel'",
    ),
    "launch without a place to send users to": (
        "authorization_server: {token_endpoint: https://a/t, capabilities: [launch-ehr]}",
        "8: authorization_server.authorization_endpoint: is required by the capabilities launch-ehr and "
        "launch-standalone",
    ),
    "an issuer without single sign-on": (
        "authorization_server: {token_endpoint: https://a/t, issuer: https://a}",
        "8: authorization_server.issuer: must be left out without the capability sso-openid-connect",
    ),
    "a capability made up": (
        "authorization_server: {token_endpoint: https://a/t, capabilities: [context-passthrough-banner]}",
        "8: authorization_server.capabilities: holds 'context-passthrough-banner', which is neither a capability of "
        "SMART nor a URI",
    ),
    "PKCE that protects nothing": (
        "authorization_server: {token_endpoint: https://a/t, code_challenge_methods_supported: [plain]}",
        "8: authorization_server.code_challenge_methods_supported[0]: must be 'S256'",
    ),
    "a token endpoint in the clear": (
        "authorization_server: {token_endpoint: http://a/t}",
        f"8: authorization_server.token_endpoint: {HTTPS}",
    ),
}

# What stands in the place of a part of the least configuration.
REPLACED = {
    "a public URL in the clear": ("https://fhir.example.org/r4\nup", "http://a/r4\nup", f"1: public_base_url: {HTTPS}"),
    "a public URL with a slash at the end": (
        "https://fhir.example.org/r4\nup",
        "https://a/r4/\nup",
        "1: public_base_url: must not end with a slash",
    ),
    "a public URL with a query": (
        "https://fhir.example.org/r4\nup",
        "https://a/r4?x=1\nup",
        "1: public_base_url: must not have a query (?)",
    ),
    "a public URL with a fragment": (
        "https://fhir.example.org/r4\nup",
        '"https://a/r4#x"\nup',
        "1: public_base_url: must not have a fragment (#)",
    ),
    "a public URL with a password": (
        "https://fhir.example.org/r4\nup",
        "https://a:b@c/r4\nup",
        "1: public_base_url: must not hold a user name or password",
    ),
    "a public URL without a scheme": (
        "https://fhir.example.org/r4\nup",
        "fhir.example.org\nup",
        "1: public_base_url: must be an absolute URL that starts with https:// or http://",
    ),
    "a public URL with capitals in its host": (
        "https://fhir.example.org/r4\nup",
        "https://FHIR.example.org\nup",
        "1: public_base_url: must name its host in lower case",
    ),
    "a public URL with an impossible port": (
        "https://fhir.example.org/r4\nup",
        "https://a:99999/r4\nup",
        "1: public_base_url: must be a URL with a host, and with a port up to 65535 if any",
    ),
    "a public URL with a space": (
        "https://fhir.example.org/r4\nup",
        "https://a/r 4\nup",
        "1: public_base_url: must be a URL of visible ASCII characters, without spaces",
    ),
    "no public URL": (
        "public_base_url: https://fhir.example.org/r4\n",
        "",
        "0: public_base_url: is required",
    ),
    "a gateway in front of itself": (
        "http://fhir.internal:8080/fhir",
        "https://fhir.example.org/r4",
        "3: upstream.base_url: must not be public_base_url: the gateway would call itself",
    ),
    "certificates for a connection without TLS": (
        "8080/fhir\n",
        "8080/fhir\n  tls: {ca_file: /etc/passwd}\n",
        "4: upstream.tls: is of no use, because upstream.base_url starts with http://",
    ),
    "a certificate without its key": (
        "http://fhir.internal:8080/fhir\n",
        "https://f/fhir\n  tls: {client_certificate_file: /etc/passwd}\n",
        "4: upstream.tls: needs client_certificate_file and client_key_file, both or neither",
    ),
    "a certificate file that is not there": (
        "http://fhir.internal:8080/fhir\n",
        "https://f/fhir\n  tls: {ca_file: /nowhere.pem}\n",
        "4: upstream.tls.ca_file: must be the path of a file that exists",
    ),
    "an unknown kind of authentication": (
        "8080/fhir\n",
        "8080/fhir\n  authentication: {kind: magic}\n",
        "4: upstream.authentication.kind: must be one of 'none', 'basic', 'bearer', 'client_credentials'",
    ),
    "authentication without a kind": (
        "8080/fhir\n",
        "8080/fhir\n  authentication: {token: abc}\n",
        "4: upstream.authentication.kind: is required",
    ),
    "authentication without its secret": (
        "8080/fhir\n",
        "8080/fhir\n  authentication: {kind: bearer}\n",
        "4: upstream.authentication.token: is required",
    ),
    "authentication with the setting of another kind": (
        "8080/fhir\n",
        "8080/fhir\n  authentication:\n    kind: bearer\n    token: abc\n    username: a\n",
        "7: upstream.authentication.username: is not a setting of this kind",
    ),
    "a user name that cannot be sent": (
        "8080/fhir\n",
        "8080/fhir\n  authentication: {kind: basic, username: 'a:b', password: c}\n",
        "4: upstream.authentication.username: must not hold a colon, which Basic authentication cannot carry",
    ),
    "a deadline within a shorter one": (
        "8080/fhir\n",
        "8080/fhir\n  pool: {read_timeout_seconds: 61}\n",
        "4: upstream.pool.read_timeout_seconds: must not be longer than total_timeout_seconds",
    ),
    "a search parameter that R4 has": (
        "8080/fhir\n",
        "8080/fhir\n  extra_search_parameters: {Patient: {name: string}}\n",
        "4: upstream.extra_search_parameters.Patient.name: is defined by R4 for Patient already",
    ),
    "a search parameter of no type": (
        "8080/fhir\n",
        "8080/fhir\n  extra_search_parameters: {Patient: {nick: text}}\n",
        "4: upstream.extra_search_parameters.Patient.nick: must be 'number', 'date', 'string', 'token', 'reference', "
        "'composite', 'quantity', 'uri' or 'special'",
    ),
    "a search parameter with a modifier": (
        "8080/fhir\n",
        "8080/fhir\n  extra_search_parameters: {Patient: {'nick:exact': string}}\n",
        "4: upstream.extra_search_parameters.Patient.nick:exact: must be the name of a search parameter: letters, "
        "digits, - and _",
    ),
    "an issuer without audiences": (
        "[https://fhir.example.org/r4]",
        "[]",
        "6: issuers[0].audiences: must not be empty",
    ),
    "an issuer with no way to check its tokens": (
        "    jwks_url: https://login.example.org/jwks\n",
        "",
        "5: issuers[0]: needs one of jwks_url, jwks_file and introspection",
    ),
    "an issuer with two ways to check its tokens": (
        "login.example.org/jwks\n",
        "login.example.org/jwks\n    jwks_file: /etc/passwd\n",
        "8: issuers[0].jwks_file: is one too many beside jwks_url",
    ),
    "keys fetched in the clear": (
        "https://login.example.org/jwks",
        "http://login.example.org/jwks",
        f"7: issuers[0].jwks_url: {HTTPS}",
    ),
    "a signature that anyone can make": (
        "login.example.org/jwks\n",
        "login.example.org/jwks\n    algorithms: [none]\n",
        f"8: issuers[0].algorithms[0]: {ALGORITHMS}",
    ),
    "a signature with a shared key": (
        "login.example.org/jwks\n",
        "login.example.org/jwks\n    algorithms: [RS256, HS256]\n",
        f"8: issuers[0].algorithms[1]: {ALGORITHMS}",
    ),
    "no signature algorithms": (
        "login.example.org/jwks\n",
        "login.example.org/jwks\n    algorithms: []\n",
        "8: issuers[0].algorithms: must not be empty",
    ),
    "a clock that may be an hour off": (
        "login.example.org/jwks\n",
        "login.example.org/jwks\n    clock_skew_seconds: 3600\n",
        "8: issuers[0].clock_skew_seconds: must be at most 300",
    ),
    "the same issuer twice": (
        "login.example.org/jwks\n",
        "login.example.org/jwks\n  - {issuer: https://login.example.org, audiences: [a], jwks_url: https://b/c}\n",
        "8: issuers[1].issuer: is the same as issuers[0].issuer",
    ),
    "no issuer": (
        LEAST[LEAST.index("issuers:") :],
        "issuers: []\n",
        "4: issuers: must name at least one issuer, or smart_server must be given",
    ),
    "an item without a value": (
        "[https://fhir.example.org/r4]",
        "[null]",
        "6: issuers[0].audiences[0]: has no value; give it one or leave it out",
    ),
}


def _told(line_and_rest: str) -> str:
    line, _, rest = line_and_rest.partition(":")
    return f"gateway.yaml:{line}:{rest}" if line != "0" else f"gateway.yaml:{rest}"


def test_the_least_configuration_is_valid(tmp_path: Path) -> None:
    assert problems(tmp_path, LEAST) == []


@pytest.mark.requirement("C-11", "C-12", "D-5", "D-7", "D-11")
@pytest.mark.parametrize(("text", "told"), ADDED.values(), ids=ADDED)
def test_an_addition_is_refused_with_its_line_and_a_sentence(tmp_path: Path, text: str, told: str) -> None:
    assert problems(tmp_path, f"{LEAST}{text}\n") == [_told(told)]


@pytest.mark.requirement("G-1")
@pytest.mark.parametrize(("old", "new", "told"), REPLACED.values(), ids=REPLACED)
def test_a_change_is_refused_with_its_line_and_a_sentence(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert LEAST.count(old) == 1
    assert problems(tmp_path, LEAST.replace(old, new)) == [_told(told)]


@pytest.mark.requirement("D-12", "D-13", "D-14", "CA-1")
def test_asymmetric_clients_need_three_members(tmp_path: Path) -> None:
    text = "authorization_server: {token_endpoint: https://a/t, capabilities: [client-confidential-asymmetric]}\n"
    because = "because of the capability client-confidential-asymmetric"
    server = "gateway.yaml:8: authorization_server"
    assert problems(tmp_path, LEAST + text) == [
        f"{server}.token_endpoint_auth_methods_supported: must hold private_key_jwt, {because}",
        f"{server}.token_endpoint_auth_signing_alg_values_supported: must hold RS384 or ES384, {because}",
        f"{server}.scopes_supported: must not be empty, {because}",
    ]


@pytest.mark.requirement("D-5", "D-6")
def test_single_sign_on_needs_an_issuer_and_its_keys(tmp_path: Path) -> None:
    text = "authorization_server: {token_endpoint: https://a/t, capabilities: [sso-openid-connect]}\n"
    assert problems(tmp_path, LEAST + text) == [
        "gateway.yaml:8: authorization_server.issuer: is required by the capability sso-openid-connect",
        "gateway.yaml:8: authorization_server.jwks_uri: is required by the capability sso-openid-connect",
    ]


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


def test_development_allows_http_on_this_machine_and_any_origin(tmp_path: Path) -> None:
    text = LEAST.replace("https://fhir.example.org/r4\nup", "http://localhost:8080/r4\nup")
    text = text.replace("https://login.example.org/jwks", "http://127.0.0.1:9000/jwks")
    assert load(tmp_path, f'{text}development: true\ncors: {{allowed_origins: ["*"]}}\n').development


@pytest.mark.parametrize("host", ["fhir.example.org", "localhost.example.org", "10.0.0.1", "128.0.0.1", "0.0.0.0"])
def test_development_allows_http_on_no_other_machine(tmp_path: Path, host: str) -> None:
    text = LEAST.replace("https://fhir.example.org/r4\nup", f"http://{host}/r4\nup")
    assert problems(tmp_path, f"{text}development: true\n") == [
        "gateway.yaml:1: public_base_url: must start with https://, or name a loopback host such as localhost"
    ]
