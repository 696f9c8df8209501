"""An explanation says what the decision says, in plain lines."""

import pytest

from gateway.fhir.request import parse_request
from gateway.policy.explain import explain
from tests.policy.grants import grant

EXPLAINED = {
    "what is sent": (
        "/Observation?code=1234-5",
        "patient/Observation.rs?category=lab",
        "Sent          GET http://upstream.example/fhir/Observation?patient=Patient/A&category=lab&code=1234-5",
    ),
    "which unit is considered": (
        "/Observation",
        "patient/Observation.rs?category=lab",
        "Unit (s)      patient/Observation.rs?category=lab: Observation in the compartment of Patient/A, "
        "with category as the scope says",
    ),
    "a refusal with the scope that would help": (
        "/Observation",
        "patient/Observation.r",
        "Would help    scope patient/Observation.s",
    ),
    "what a refusal is": (
        "/Observation",
        "patient/Observation.r",
        "Outcome       refused, 403 scope_insufficient: No scope of the access token allows this.",
    ),
    "a scope about something else": (
        "/Observation",
        "patient/Condition.rs",
        "Scope         patient/Condition.rs: is about Condition, not Observation",
    ),
    "what must hold first": (
        "/Observation/1/_history",
        "patient/*.rs",
        "First         Observation/1 must be readable as it stands now",
    ),
    "an include left out": (
        "/Patient?_revinclude=Observation:subject",
        "patient/Patient.rs",
        "Left out      _revinclude=Observation:subject",
    ),
    "what sees everything": ("/Observation/1", "system/*.rs", "Verified      nothing: the token sees every record"),
    "a shared type": (
        "/Practitioner/1",
        "patient/*.rs",
        "Unit (r)      patient/*.rs: any Practitioner by its id (shared type, no open search)",
    ),
}


@pytest.mark.parametrize(("url", "scopes", "line"), EXPLAINED.values(), ids=EXPLAINED)
def test_an_explanation_says(url: str, scopes: str, line: str) -> None:
    path, _, query = url.partition("?")
    lines = list(explain(parse_request("GET", path.encode(), query.encode(), {}, b""), grant(scopes)))
    assert line in lines
