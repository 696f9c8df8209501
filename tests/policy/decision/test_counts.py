"""Counts: only where it is certain that nothing hidden is counted, and never for an empty reach (leak_19)."""

import pytest

from gateway.policy.decision_types import Allow, Deny, SearchFilter
from gateway.policy.permission.rules import PractitionerReach
from gateway.policy.reasons import Reason
from tests.policy.grants import decide_request, make_grant, upstream_url

COUNTS = ("_summary=count", "_count=0")


@pytest.mark.parametrize("query", COUNTS)
def test_nothing_is_counted_until_it_is_known_what_the_server_narrows_by(query: str) -> None:
    decision = decide_request(f"GET /Observation?{query}", make_grant("patient/*.rs", has_capability_statement=False))
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.COUNT_NOT_EXACT


def test_a_total_is_left_out_until_then() -> None:
    decision = decide_request(
        "GET /Observation?_total=accurate", make_grant("patient/*.rs", has_capability_statement=False)
    )
    assert isinstance(decision, Allow)
    assert decision.upstream_request.query == "patient=Patient/A"
    assert isinstance(decision.response_filter, SearchFilter)
    assert not decision.response_filter.is_exact


@pytest.mark.parametrize("query", COUNTS)
def test_what_the_token_sees_whole_is_counted_before_that_too(query: str) -> None:
    assert upstream_url(
        f"GET /Observation?{query}", make_grant("system/Observation.rs", has_capability_statement=False)
    ).endswith(query)


@pytest.mark.requirement("SC-28")
@pytest.mark.parametrize(
    ("user", "reach"),
    [
        ("RelatedPerson/1", PractitionerReach.ALL),
        ("Practitioner/1", PractitionerReach.PANEL),
        ("PractitionerRole/1", PractitionerReach.COMPARTMENT),
    ],
)
@pytest.mark.parametrize("request_", ["GET /Observation?_summary=count", "GET /Patient?name=x", "GET /Observation/1"])
def test_a_user_of_whom_nobody_is_known_reaches_nothing(user: str, reach: PractitionerReach, request_: str) -> None:
    """The search is not narrowed to an empty value, which some servers drop (hapi.md B2)."""
    grant = make_grant("user/*.rs", patient=None, user=user, patients_of_user=(), practitioner_reach=reach)
    decision = decide_request(request_, grant)
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.USER_REACH_UNKNOWN


def test_such_a_user_keeps_what_other_scopes_reach() -> None:
    grant = make_grant("user/*.rs patient/Observation.rs", user="RelatedPerson/1", patients_of_user=())
    assert upstream_url("GET /Observation", grant) == "/Observation?patient=Patient/A"
