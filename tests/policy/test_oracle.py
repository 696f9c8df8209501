"""Decision and judge, compared with the oracle: exactly what the scopes permit is kept.

The FHIR server is hostile: it returns everything that it has, whatever the request (enforcement.md 7).
"""

import os
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.fhir.reference import parse_reference
from gateway.fhir.request.interaction import Interaction, Read, TypeHistory, TypeSearch
from gateway.fhir.resources.bundle import read_bundle
from gateway.policy.decision.decide import decide
from gateway.policy.decision_types import Allow, Deny, HistoryFilter, PassThrough, ResourceFilter, SearchFilter
from gateway.policy.judgement.judge_bundle_entries import judge_bundle
from gateway.policy.judgement.judge_resource import judge_read_body
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.rules import PractitionerReach, Rules
from gateway.scopes.model import Letter
from tests.policy.oracle import OracleToken, Resource, permits
from tests.policy.strategies import TYPES, charts, id_query, queries, tokens

# A fixed budget in CI; by hand: ORACLE_EXAMPLES=20000 pytest tests/policy/test_oracle.py
BUDGET = settings(max_examples=int(os.environ.get("ORACLE_EXAMPLES", "400")), deadline=None)
PUBLIC = "https://gateway.example/fhir"


def make_grant(token: OracleToken) -> Grant:
    """The gateway's grant of the same token."""
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


def hostile_bundle(chart: tuple[Resource, ...], kind: str) -> bytes:
    """The response of the server: all resources, each marked as a match."""
    entries: list[dict[str, Any]] = [
        {"fullUrl": f"http://evil/{number}", "resource": resource, "search": {"mode": "match"}}
        for number, resource in enumerate(chart)
    ]
    return orjson.dumps({"resourceType": "Bundle", "type": kind, "total": 99, "entry": entries})


def resources_from_gateway(
    interaction: Interaction, token: OracleToken, chart: tuple[Resource, ...]
) -> list[Resource] | None:
    """The resources that leave the gateway, in order; None if the request is refused."""
    decision = decide(interaction, make_grant(token))
    if isinstance(decision, Deny):
        return None
    assert isinstance(decision, Allow)
    response_filter = decision.response_filter
    if isinstance(response_filter, PassThrough):
        return list(chart)
    assert isinstance(response_filter, SearchFilter | HistoryFilter)
    verdict = judge_bundle(read_bundle(hostile_bundle(chart, "searchset")), response_filter)
    assert not verdict.pending_provenances
    return [
        orjson.loads(orjson.dumps({k: orjson.loads(bytes(v)) for k, v in e.resource.items()}))
        for e in verdict.kept_entries
        if e is not None and e.resource is not None
    ]


@pytest.mark.requirement("SC-13", "SC-15", "SC-17", "SC-18", "SC-22", "SC-26", "SC-28", "SC-29")
@BUDGET
@given(charts, tokens, st.sampled_from(TYPES), queries)
def test_a_search_keeps_exactly_what_the_scopes_permit(
    chart: tuple[Resource, ...], token: OracleToken, resource_type: str, ids: tuple[str, ...]
) -> None:
    kept = resources_from_gateway(TypeSearch(resource_type, id_query(ids)), token, chart)

    def expected(resource: Resource) -> bool:
        if resource["resourceType"] != resource_type:
            return permits(token, resource, {Letter.READ, Letter.SEARCH}, by_id=True)
        named = not ids or resource["id"] in ids
        return named and permits(token, resource, {Letter.SEARCH}, by_id=bool(ids))

    if kept is None:
        assert not any(expected(resource) for resource in chart if resource["resourceType"] == resource_type)
    else:
        assert kept == [resource for resource in chart if expected(resource)]


@BUDGET
@given(charts, tokens, st.sampled_from(TYPES))
def test_a_type_history_keeps_exactly_what_a_search_could_find(
    chart: tuple[Resource, ...], token: OracleToken, resource_type: str
) -> None:
    kept = resources_from_gateway(TypeHistory(resource_type), token, chart)
    expected = [
        resource
        for resource in chart
        if resource["resourceType"] == resource_type and permits(token, resource, {Letter.SEARCH}, by_id=False)
    ]
    assert kept == expected if kept is not None else not expected


@pytest.mark.requirement("SC-13", "SC-15", "SC-17", "SC-22")
@BUDGET
@given(charts, tokens, st.data())
def test_a_read_shows_exactly_what_the_scopes_permit(
    chart: tuple[Resource, ...], token: OracleToken, data: st.DataObject
) -> None:
    requested = data.draw(st.sampled_from(chart))
    returned = data.draw(st.sampled_from(chart), label="what the server answers")
    decision = decide(Read(requested["resourceType"], requested["id"]), make_grant(token))
    is_visible = False
    if isinstance(decision, Allow):
        if isinstance(decision.response_filter, PassThrough):
            is_visible = True
        else:
            assert isinstance(decision.response_filter, ResourceFilter)
            is_visible = judge_read_body(orjson.dumps(returned), decision.response_filter)[1] is True
    is_requested = (requested["resourceType"], requested["id"]) == (returned["resourceType"], returned["id"])
    is_permitted = permits(token, returned, {Letter.READ}, by_id=True)
    if isinstance(decision, Allow) and isinstance(decision.response_filter, PassThrough):
        assert all(permits(token, resource, {Letter.READ}, by_id=True) for resource in chart)
    else:
        assert is_visible == (is_requested and is_permitted)
