"""Settings of app state that disagree with others, and the codes that a client gets."""

from pathlib import Path
from typing import Any

import pytest

from gateway.fhir.app_state.state_codes import StateCodes, StateUse
from gateway.settings.authorization.clients import ClientEntry
from gateway.settings.model import Settings
from tests.settings.configuration import LEAST, in_file, problems

SMART_SERVER = "smart_server: {}\n"
PLACE = "must have a path of its own beside public_base_url and the issuer"
PROBLEMS = {
    "without a SMART server": ("app_state: {}", "8: app_state: needs smart_server: its store keeps the state, and its"),
    "at the FHIR base": (
        f"{SMART_SERVER}app_state: {{base_url: https://fhir.example.org/r4}}", f"9: app_state.base_url: {PLACE}",
    ),
    "below the FHIR base": (
        f"{SMART_SERVER}app_state: {{base_url: https://fhir.example.org/r4/state}}", f"9: app_state.base_url: {PLACE}",
    ),
    "around the issuer": (
        "smart_server: {issuer: https://fhir.example.org/state/auth}\n"
        "app_state: {base_url: https://fhir.example.org/state}", f"9: app_state.base_url: {PLACE}",
    ),
    "without a path": (
        f"{SMART_SERVER}app_state: {{base_url: https://state.example.org}}", f"9: app_state.base_url: {PLACE}",
    ),
    "without TLS": (
        f"{SMART_SERVER}app_state: {{base_url: http://state.example.org/x}}", "9: app_state.base_url: must start with",
    ),
    "less than SMART lets apps rely on": (
        f"{SMART_SERVER}app_state: {{max_resource_bytes: 1000}}", "9: app_state.max_resource_bytes: must be",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), PROBLEMS.values(), ids=PROBLEMS)
def test_app_state_that_cannot_be_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (found,) = problems(tmp_path, f"{LEAST}{text}\n")
    assert found.startswith(in_file(sentence)), found


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [(None, "https://fhir.example.org/app-state"), ("https://s.example/x", "https://s.example/x")],
)
def test_app_state_is_on_the_host_of_the_fhir_base_unless_told(base_url: str | None, expected: str) -> None:
    app_state: dict[str, Any] = {} if base_url is None else {"base_url": base_url}
    settings = Settings.model_validate(
        {
            "public_base_url": "https://fhir.example.org/r4",
            "upstream": {"base_url": "http://127.0.0.1:1/fhir"},
            "smart_server": {},
            "app_state": app_state,
        }
    )
    assert settings.app_state_base() == expected


ONE = {"redirect_uris": ["https://a.example/x"]}
CLIENTS: dict[str, tuple[dict[str, Any], tuple[StateCodes, ...]]] = {
    "one https origin": ({"redirect_uris": ["https://a.example/x", "https://a.example/y?z"]}, (StateCodes("https://a.example"),)),
    "two origins": ({"redirect_uris": ["https://a.example/x", "https://b.example/x"]}, ()),
    "an https origin and a native app": ({"redirect_uris": ["https://a.example/x", "org.example.app:/cb"]}, ()),
    "another port is another origin": ({"redirect_uris": ["https://a.example/x", "https://a.example:8443/x"]}, ()),
    "this machine": ({"redirect_uris": ["http://127.0.0.1/x"]}, ()),
    "a native app": ({"redirect_uris": ["org.example.app:/cb"]}, ()),
    "codes that an operator gave": (
        {"app_state": [{"system": "s", "code": "c", "access": "query", "global_access": "none"}], **ONE},
        (StateCodes("s", "c", StateUse.QUERY, StateUse.NONE),),
    ),
    "none that an operator gave": ({"redirect_uris": ["https://a.example/x"], "app_state": []}, ()),
}  # fmt: skip


@pytest.mark.requirement("AS-14")
@pytest.mark.parametrize(("members", "codes"), CLIENTS.values(), ids=CLIENTS)
def test_an_app_is_trusted_with_the_codes_of_its_origin_or_those_it_was_given(
    members: dict[str, Any], codes: tuple[StateCodes, ...]
) -> None:
    assert ClientEntry(client_id="a", name="A", **members).to_client().trusted_state_codes == codes
