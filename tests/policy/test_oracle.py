"""Decision and judge against the oracle: what is kept is exactly what a plain reading of the scopes permits.

The server behind is the worst there is: whatever is asked, it answers with everything it has (enforcement.md 7).
"""

import os
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.fhir.bundle import read_bundle
from gateway.fhir.interaction import Interaction, Read, TypeHistory, TypeSearch
from gateway.fhir.reference import parse_reference
from gateway.policy.access import Access
from gateway.policy.decide import decide
from gateway.policy.decision import Allow, Deny, KeepMatches, KeepResource, KeepVersions, Relay
from gateway.policy.grant import Grant
from gateway.policy.judge import judge_resource
from gateway.policy.judge_bundle import judge_bundle
from gateway.policy.rules import PractitionerReach, Rules
from gateway.scopes.model import Letter
from tests.policy.oracle import Resource, Token, permits
from tests.policy.strategies import TYPES, charts, id_query, queries, tokens

# A fixed budget in CI; by hand: ORACLE_EXAMPLES=20000 pytest tests/policy/test_oracle.py
BUDGET = settings(max_examples=int(os.environ.get("ORACLE_EXAMPLES", "400")), deadline=None)
PUBLIC = "https://gateway.example/fhir"


def grant_of(token: Token) -> Grant:
    """The gateway's own reading of the same token."""
    reach = PractitionerReach.ALL if token.practitioner_sees_all else PractitionerReach.COMPARTMENT
    rules = Rules(PUBLIC, "http://upstream.example/fhir", practitioner_reach=reach)
    access = Access(
        issuer="https://issuer.example",
        client_id="app",
        subject="someone",
        scopes=token.scopes,
        expires_at=0.0,
        patient=token.patient,
        user=parse_reference(token.user) if token.user else None,
    )
    return Grant(access, rules)


def everything(chart: tuple[Resource, ...], kind: str) -> bytes:
    """The server's answer: all it has, each entry claiming to be a match."""
    entries: list[dict[str, Any]] = [
        {"fullUrl": f"http://evil/{number}", "resource": resource, "search": {"mode": "match"}}
        for number, resource in enumerate(chart)
    ]
    return orjson.dumps({"resourceType": "Bundle", "type": kind, "total": 99, "entry": entries})


def kept_by_gateway(interaction: Interaction, token: Token, chart: tuple[Resource, ...]) -> list[Resource] | None:
    """What leaves, in order; None where the request is refused."""
    decision = decide(interaction, grant_of(token))
    if isinstance(decision, Deny):
        return None
    assert isinstance(decision, Allow)
    keep = decision.keep
    if isinstance(keep, Relay):
        return list(chart)
    assert isinstance(keep, KeepMatches | KeepVersions)
    verdict = judge_bundle(read_bundle(everything(chart, "searchset")), keep)
    assert not verdict.pending
    return [
        orjson.loads(orjson.dumps({k: orjson.loads(bytes(v)) for k, v in e.resource.items()}))
        for e in verdict.kept
        if e is not None and e.resource is not None
    ]


@pytest.mark.requirement("SC-13", "SC-15", "SC-17", "SC-18", "SC-22", "SC-26", "SC-28", "SC-29")
@BUDGET
@given(charts, tokens, st.sampled_from(TYPES), queries)
def test_a_search_keeps_exactly_what_the_scopes_permit(
    chart: tuple[Resource, ...], token: Token, resource_type: str, ids: tuple[str, ...]
) -> None:
    kept = kept_by_gateway(TypeSearch(resource_type, id_query(ids)), token, chart)

    def expected(resource: Resource) -> bool:
        if resource["resourceType"] != resource_type:
            return permits(token, resource, {Letter.READ, Letter.SEARCH}, by_id=True)
        named = not ids or resource["id"] in ids
        return named and permits(token, resource, {Letter.SEARCH}, by_id=bool(ids))

    if kept is None:
        assert not any(expected(one) for one in chart if one["resourceType"] == resource_type)
    else:
        assert kept == [one for one in chart if expected(one)]


@BUDGET
@given(charts, tokens, st.sampled_from(TYPES))
def test_a_type_history_keeps_exactly_what_a_search_could_find(
    chart: tuple[Resource, ...], token: Token, resource_type: str
) -> None:
    kept = kept_by_gateway(TypeHistory(resource_type), token, chart)
    expected = [
        one
        for one in chart
        if one["resourceType"] == resource_type and permits(token, one, {Letter.SEARCH}, by_id=False)
    ]
    assert kept == expected if kept is not None else not expected


@pytest.mark.requirement("SC-13", "SC-15", "SC-17", "SC-22")
@BUDGET
@given(charts, tokens, st.data())
def test_a_read_shows_exactly_what_the_scopes_permit(
    chart: tuple[Resource, ...], token: Token, data: st.DataObject
) -> None:
    asked = data.draw(st.sampled_from(chart))
    answered = data.draw(st.sampled_from(chart), label="what the server answers")
    decision = decide(Read(asked["resourceType"], asked["id"]), grant_of(token))
    shown = False
    if isinstance(decision, Allow):
        if isinstance(decision.keep, Relay):
            shown = True
        else:
            assert isinstance(decision.keep, KeepResource)
            shown = judge_resource(orjson.dumps(answered), decision.keep)[1] is True
    same = (asked["resourceType"], asked["id"]) == (answered["resourceType"], answered["id"])
    permitted = permits(token, answered, {Letter.READ}, by_id=True)
    if isinstance(decision, Allow) and isinstance(decision.keep, Relay):
        assert all(permits(token, one, {Letter.READ}, by_id=True) for one in chart)
    else:
        assert shown == (same and permitted)
