"""Counts are given where it is known that nothing hidden is counted, and to nobody whose reach is empty (leak_19)."""

import pytest

from gateway.policy.decision import Allow, Deny, KeepMatches
from gateway.policy.reasons import Reason
from gateway.policy.rules import PractitionerReach
from tests.policy.grants import asked, grant, sent

COUNTS = ("_summary=count", "_count=0")


@pytest.mark.parametrize("query", COUNTS)
def test_nothing_is_counted_until_it_is_known_what_the_server_narrows_by(query: str) -> None:
    decision = asked(f"GET /Observation?{query}", grant("patient/*.rs", statement_known=False))
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.COUNT_NOT_EXACT


def test_a_total_is_left_out_until_then() -> None:
    decision = asked("GET /Observation?_total=accurate", grant("patient/*.rs", statement_known=False))
    assert isinstance(decision, Allow)
    assert decision.send.query == "patient=Patient/A"
    assert isinstance(decision.keep, KeepMatches)
    assert not decision.keep.exact


@pytest.mark.parametrize("query", COUNTS)
def test_what_the_token_sees_whole_is_counted_before_that_too(query: str) -> None:
    assert sent(f"GET /Observation?{query}", grant("system/Observation.rs", statement_known=False)).endswith(query)


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
    """Not a search narrowed to an empty value, which some servers drop (hapi.md B2)."""
    held = grant("user/*.rs", patient=None, user=user, patients_of_user=(), practitioner_reach=reach)
    decision = asked(request_, held)
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.USER_REACH_UNKNOWN


def test_such_a_user_keeps_what_other_scopes_reach() -> None:
    held = grant("user/*.rs patient/Observation.rs", user="RelatedPerson/1", patients_of_user=())
    assert sent("GET /Observation", held) == "/Observation?patient=Patient/A"
