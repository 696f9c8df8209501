"""The sources of settings: the file, then the environment, then secret files."""

import base64
import copy
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from gateway.fhir.search_parameters import SearchType
from gateway.policy.permission.reach_record import RELATED_PERSON, ReachRecord
from gateway.policy.permission.rules import MembershipMode, PractitionerReach, Rules
from gateway.settings.enforcement.operations import operation_rules
from gateway.settings.loading.load import load_settings
from gateway.settings.model import BasicAuthentication, BearerAuthentication, Settings
from tests.settings.configuration import LEAST, load, problems

BASIC = LEAST.replace("8080/fhir\n", "8080/fhir\n  authentication: {kind: basic, username: gateway, password: file}\n")
UPSTREAM = "SMART_GATEWAY__UPSTREAM"


def _password(settings: Settings) -> str:
    assert isinstance(settings.upstream.authentication, BasicAuthentication)
    return settings.upstream.authentication.password.get_secret_value()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    environ = {"SMART_GATEWAY__LISTEN__PORT": "9000", f"{UPSTREAM}__AUTHENTICATION__PASSWORD": "environment"}
    settings = load(tmp_path, BASIC + "listen: {port: 8000, host: 0.0.0.0}\n", environ)
    assert (settings.listen.port, settings.listen.host, _password(settings)) == (9000, "0.0.0.0", "environment")


def test_everything_can_come_from_the_environment() -> None:
    settings = load_settings(
        None,
        {
            "SMART_GATEWAY__PUBLIC_BASE_URL": "https://fhir.example.org/r4",
            f"{UPSTREAM}__BASE_URL": "http://fhir.internal/fhir",
            f"{UPSTREAM}__POOL__READ_TIMEOUT_SECONDS": "2.5",
            f"{UPSTREAM}__COMPARTMENT_SEARCH": "true",
            f"{UPSTREAM}__EXTRA_SEARCH_PARAMETERS__Patient__nick": "string",
            "SMART_GATEWAY__ISSUERS__0__ISSUER": "https://a",
            "SMART_GATEWAY__ISSUERS__0__AUDIENCES": '["x", "y"]',
            "SMART_GATEWAY__ISSUERS__0__JWKS_URL": "https://a/jwks",
            "SMART_GATEWAY__ISSUERS__1": "{issuer: https://b, audiences: [x], jwks_url: https://b/jwks}",
            "SMART_GATEWAY__COMPARTMENTS__EXTRA_MEMBERSHIP__Task": "[patient, subject]",
            "SMART_GATEWAY__METRICS__PORT": "null",
            "SMART_GATEWAY__AUDIT__HASH_PATIENT": "true",
            "SMART_GATEWAY__AUDIT__HASH_KEY": "1234567890123456",
            "PATH": "/bin",
            "SMART_GATEWAY_LISTEN": "another program's",
        },
    )
    assert settings.upstream.pool.read_timeout_seconds == 2.5
    assert settings.upstream.compartment_search
    assert settings.upstream.extra_search_parameters == {"Patient": {"nick": SearchType.STRING}}
    assert [issuer.issuer for issuer in settings.issuers] == ["https://a", "https://b"]
    assert settings.issuers[0].audiences == ("x", "y")
    assert settings.compartments.extra_membership == {"Task": ("patient", "subject")}
    assert settings.metrics.port is None
    assert settings.audit.hash_key == SecretStr("1234567890123456")


def test_a_variable_replaces_the_whole_setting_that_it_names(tmp_path: Path) -> None:
    environ = {"SMART_GATEWAY__LISTEN": "{port: 1}", "SMART_GATEWAY__LISTEN__HOST": "::1"}
    settings = load(tmp_path, LEAST + "listen: {port: 2, host: 0.0.0.0}\n", environ)
    assert (settings.listen.port, settings.listen.host) == (1, "::1")


def test_a_variable_changes_one_item_of_a_list_in_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, LEAST, {"SMART_GATEWAY__ISSUERS__0__JWKS_URL": "https://other.example/jwks"})
    assert settings.issuers[0].jwks_url == "https://other.example/jwks"
    assert settings.issuers[0].issuer == "https://login.example.org"


VARIABLES = {
    "no setting": ("SMART_GATEWAY__NOTHING", "1", "SMART_GATEWAY__NOTHING: names no setting"),
    "the prefix alone": ("SMART_GATEWAY__", "1", "SMART_GATEWAY__: names no setting"),
    "small letters": ("SMART_GATEWAY__log_level", "info", "SMART_GATEWAY__log_level: names no setting"),
    "something inside a single value": (
        "SMART_GATEWAY__LOG_LEVEL__X",
        "1",
        "SMART_GATEWAY__LOG_LEVEL__X: names no setting",
    ),
    "an item of what is no list": ("SMART_GATEWAY__LISTEN__0", "1", "SMART_GATEWAY__LISTEN__0: names no setting"),
    "an item by a word": ("SMART_GATEWAY__ISSUERS__FIRST", "{}", "SMART_GATEWAY__ISSUERS__FIRST: names no setting"),
    "an item far behind the last": (
        "SMART_GATEWAY__ISSUERS__2__ISSUER",
        "https://a",
        "SMART_GATEWAY__ISSUERS__2__ISSUER: has no place: the list before it is too short",
    ),
    "a wrong value": (
        "SMART_GATEWAY__LISTEN__PORT",
        "http",
        "SMART_GATEWAY__LISTEN__PORT: listen.port: must be a whole number",
    ),
    "a list that is cut short": (
        "SMART_GATEWAY__CORS__ALLOWED_ORIGINS",
        "[https://a",
        "SMART_GATEWAY__CORS__ALLOWED_ORIGINS: is not valid YAML: while parsing a flow sequence, expected ',' or ']', "
        "but got '<stream end>'",
    ),
    "the same key twice": (
        "SMART_GATEWAY__LISTEN",
        "{port: 1, port: 2}",
        "SMART_GATEWAY__LISTEN: listen.port: is given twice",
    ),
    "an unknown key inside": (
        "SMART_GATEWAY__LISTEN",
        "{prot: 1}",
        "SMART_GATEWAY__LISTEN: listen.prot: is not a setting; did you mean port?",
    ),
    "a control character": (
        "SMART_GATEWAY__LOG_LEVEL",
        "in\x1bfo",
        "SMART_GATEWAY__LOG_LEVEL: holds control characters",
    ),
    "bytes that are not UTF-8": (
        "SMART_GATEWAY__LOG_LEVEL",
        "in\udcfffo",
        "SMART_GATEWAY__LOG_LEVEL: holds control characters",
    ),
}


@pytest.mark.parametrize(("name", "value", "problem"), VARIABLES.values(), ids=VARIABLES)
def test_a_wrong_variable_is_named(tmp_path: Path, name: str, value: str, problem: str) -> None:
    assert problems(tmp_path, LEAST, {name: value}) == [problem]


def _secret(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "secret"
    path.write_bytes(content)
    return str(path)


def test_a_secret_can_come_from_a_file_of_its_own(tmp_path: Path) -> None:
    path = _secret(tmp_path, b" s3cret, with spaces \r\n")
    settings = load(tmp_path, BASIC.replace("password: file", f"password_file: {path}"))
    assert _password(settings) == " s3cret, with spaces "


def test_the_file_of_a_secret_can_be_named_by_the_environment(tmp_path: Path) -> None:
    key = base64.b64encode(bytes(range(32)))
    settings = load(tmp_path, LEAST, {"SMART_GATEWAY__PAGING__KEY_FILE": _secret(tmp_path, key)})
    assert settings.paging.key_bytes() == bytes(range(32))


def test_the_url_safe_alphabet_without_padding_is_base64_too(tmp_path: Path) -> None:
    key = base64.urlsafe_b64encode(b"\xff" * 32).decode().rstrip("=")
    assert load(tmp_path, f"{LEAST}paging: {{key: '{key}'}}\n").paging.key_bytes() == b"\xff" * 32


def test_without_a_paging_key_there_are_no_bytes(tmp_path: Path) -> None:
    assert load(tmp_path, LEAST).paging.key_bytes() is None


def test_a_secret_is_given_once(tmp_path: Path) -> None:
    problem = "upstream.authentication.password_file: is given beside password; give one of them"
    both = BASIC.replace("password: file", f"password: file, password_file: {_secret(tmp_path, b'x')}")
    assert problems(tmp_path, both) == [f"gateway.yaml:4: {problem}"]
    variable = f"{UPSTREAM}__AUTHENTICATION__PASSWORD_FILE"
    assert problems(tmp_path, BASIC, {variable: _secret(tmp_path, b"x")}) == [f"{variable}: {problem}"]


BAD_SECRET_FILES = {
    "empty": (b"\n", "names a file that is empty"),
    "not UTF-8": (b"\xff\xfe", "cannot be read: it is not UTF-8 text"),
    "endless": (b"x" * 70_000, "is longer than 65536 bytes"),
    "endless in two bytes a letter": ("\u00f6".encode() * 40_000, "is longer than 65536 bytes"),
    "cut inside of a letter": (b"x" + "\u00f6".encode() * 40_000, "is longer than 65536 bytes"),
}


@pytest.mark.parametrize(("content", "sentence"), BAD_SECRET_FILES.values(), ids=BAD_SECRET_FILES)
def test_a_secret_file_that_holds_no_secret(tmp_path: Path, content: bytes, sentence: str) -> None:
    text = BASIC.replace("password: file", f"password_file: {_secret(tmp_path, content)}")
    assert problems(tmp_path, text) == [f"gateway.yaml:4: upstream.authentication.password_file: {sentence}"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/nowhere", "cannot be read: no such file or directory"),
        ("/", "cannot be read: is a directory"),
        ("[1]", "must be the path of a file"),
        ("", "must be the path of a file"),
    ],
)
def test_a_secret_file_that_cannot_be_read(tmp_path: Path, path: str, sentence: str) -> None:
    text = BASIC.replace("password: file", f"password_file: {path}")
    assert problems(tmp_path, text) == [f"gateway.yaml:4: upstream.authentication.password_file: {sentence}"]


def test_a_file_for_what_is_no_secret_is_unknown(tmp_path: Path) -> None:
    assert problems(tmp_path, LEAST + "log_level_file: /x\n") == [
        "gateway.yaml:8: log_level_file: is not a setting; did you mean log_level?"
    ]


def test_secrets_are_never_printed(tmp_path: Path) -> None:
    settings = load(tmp_path, BASIC.replace("password: file", "password: hunter2"))
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"


UNQUOTED = (
    *("*hunter2", "!hunter2", "!hunter2!x y", "&hunter2", "&hunter2 *hunter2", "[hunter2", "{hunter2", "|hunter2"),
    *("%hunter2", "@hunter2", "`hunter2", "'hunter2", '"hunter2\\q"', "hunter2: x", "[hunter2]", "{hunter2: x}"),
)


@pytest.mark.parametrize("secret", UNQUOTED)
def test_a_secret_that_was_not_quoted_is_not_told(tmp_path: Path, secret: str) -> None:
    text = LEAST.replace("8080/fhir\n", f"8080/fhir\n  authentication:\n    kind: bearer\n    token: {secret}\n")
    reported = problems(tmp_path, text)
    assert reported
    assert not any("hunter2" in problem for problem in reported), reported


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = load(tmp_path, BASIC)
    with pytest.raises(ValidationError):
        settings.log_level = "debug"
    with pytest.raises(ValidationError):
        settings.upstream.pool.connections = 1
    with pytest.raises(TypeError):
        settings.compartments.extra_membership["Slot"] = ("x",)  # type: ignore[index]
    with pytest.raises(TypeError):
        settings.upstream.extra_search_parameters["Patient"] = {}  # type: ignore[index]
    assert copy.deepcopy(settings) is settings


def test_a_group_whose_settings_are_all_left_out_has_its_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, LEAST + "listen:\ntoken_cache: {entries: }\n") == load(tmp_path, LEAST)


def test_the_defaults_of_reach_are_those_of_the_policy(tmp_path: Path) -> None:
    expected = Rules(
        public_base="https://fhir.example.org/r4",
        upstream_base="http://fhir.internal:8080/fhir",
        operations=operation_rules({}),
    )
    assert load(tmp_path, LEAST).rules() == expected


def test_reach_becomes_rules(tmp_path: Path) -> None:
    text = """\
compartments:
  membership: subject
  extra_membership: {Device: [patient]}
  shared_types: [Organization, Location]
  searchable_shared_types: [Location]
  practitioner_reach: panel
  panel: [{resource_type: CareTeam, parameter: participant, patient_element: subject}]
"""
    rules = load(tmp_path, LEAST + text).rules()
    assert rules == Rules(
        public_base="https://fhir.example.org/r4",
        upstream_base="http://fhir.internal:8080/fhir",
        membership=MembershipMode.SUBJECT,
        extra_membership={"Device": ("patient",)},
        shared_types=frozenset({"Organization", "Location"}),
        searchable_shared_types=frozenset({"Location"}),
        practitioner_reach=PractitionerReach.PANEL,
        operations=operation_rules({}),
        reach_records=(
            RELATED_PERSON,
            ReachRecord(
                "CareTeam",
                frozenset({"Practitioner", "PractitionerRole"}),
                frozenset({"active", "status", "period", "participant", "subject"}),
            ),
        ),
    )


def test_the_kind_decides_which_authentication_it_is(tmp_path: Path) -> None:
    environ = {f"{UPSTREAM}__AUTHENTICATION__KIND": "bearer", f"{UPSTREAM}__AUTHENTICATION__TOKEN": "8080"}
    settings = load(tmp_path, LEAST, environ)
    assert settings.upstream.authentication == BearerAuthentication(kind="bearer", token=SecretStr("8080"))


def test_the_smart_configuration_leaves_out_what_is_absent(tmp_path: Path) -> None:
    settings = load(tmp_path, LEAST + "authorization_server: {token_endpoint: https://a/t}\n")
    assert settings.authorization_server is not None
    assert settings.authorization_server.smart_configuration() == {
        "token_endpoint": "https://a/t",
        "grant_types_supported": ["authorization_code"],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": [],
    }
