"""The oracle over HTTP: a running gateway returns exactly what a simple interpretation of the scopes permits.

The FHIR server ignores all parameters and returns all its resources, page by page; a read may return any resource. The
tests cover token, parser, decision, judgement, paging and writing.
"""

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.scopes.format_scopes import format_scopes
from gateway.scopes.model import Letter
from tests.policy.oracle import OracleToken, Resource, permits, sees_everything
from tests.policy.strategies import PATIENTS, TYPES, charts, queries, tokens
from tests.proxy.leaked_marks import link_of, resources_in
from tests.proxy.lenient_server import LenientServer, lenient_server
from tests.proxy.running_gateway import RunningGateway, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

# A fixed budget in CI; by hand: ORACLE_HTTP_EXAMPLES=5000 pytest tests/proxy/test_oracle_http.py
BUDGET = settings(max_examples=int(os.environ.get("ORACLE_HTTP_EXAMPLES", "200")), deadline=None)
PAGE_SIZE = 5
FORM = {"content-type": "application/x-www-form-urlencoded"}

Chart = tuple[Resource, ...]


class OracleGateways:
    """A lenient server, and in front of it one gateway per setting of `practitioner_reach`."""

    def __init__(self, lenient: LenientServer, gateways: dict[bool, RunningGateway]) -> None:
        self.lenient = lenient
        self.gateways = gateways

    def __repr__(self) -> str:
        return "gateways"  # so that a counterexample shows only the chart and the token

    def load(self, chart: Chart, token: OracleToken) -> tuple[RunningGateway, str]:
        """Load the chart into the server; return the gateway that fits the token, and the encoded token."""
        self.lenient.resources, self.lenient.read_response = chart, None
        gateway = self.gateways[token.practitioner_sees_all]
        claims: dict[str, Any] = {"patient": token.patient, "fhirUser": token.user}
        return gateway, gateway.token(format_scopes(token.scopes), **claims)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OracleGateways]:
    async with lenient_server() as lenient:
        lenient.page_size = PAGE_SIZE
        base, folders = lenient.base_url, [tmp_path_factory.mktemp(name) for name in ("all", "compartment")]
        reaches = [{"practitioner_reach": reach} for reach in ("all", "compartment")]
        async with (
            running_gateway(base, folders[0], compartments=reaches[0]) as everyone,
            running_gateway(base, folders[1], compartments=reaches[1]) as own_patients,
        ):
            yield OracleGateways(lenient, {True: everyone, False: own_patients})


async def get_all_pages(
    gateway: RunningGateway, token: str, path: str, *, form: str | None = None
) -> list[Resource] | None:
    """The resources of the response and of all following pages; None if the request is refused."""
    headers = {"authorization": f"Bearer {token}"}
    if form is None:
        response = await gateway.request(path, None, headers=headers)
    else:
        response = await gateway.request(path, None, method="POST", headers={**headers, **FORM}, content=form)
    if response.status_code == 403:
        return None
    resources = resources_in(response)
    while (next_url := link_of(response, "next")) is not None:
        response = await gateway.request(next_url.removeprefix(gateway.base_url), None, headers=headers)
        assert response.status_code == 200
        resources += resources_in(response)
    return resources


@BUDGET
@given(charts, tokens, st.sampled_from(TYPES), queries, st.booleans())
async def test_a_search_and_its_pages_give_exactly_what_the_scopes_permit(
    gateways: OracleGateways, chart: Chart, token: OracleToken, resource_type: str, ids: tuple[str, ...], by_post: bool
) -> None:
    gateway, bearer = gateways.load(chart, token)
    query = f"_id={','.join(ids)}" if ids else ""
    if by_post:
        found = await get_all_pages(gateway, bearer, f"/{resource_type}/_search", form=query)
    else:
        found = await get_all_pages(gateway, bearer, f"/{resource_type}?{query}")

    def is_match(resource: Resource) -> bool:
        named = not ids or resource["id"] in ids
        return of_type(resource) and named and permits(token, resource, {Letter.SEARCH}, by_id=bool(ids))

    def is_extra(resource: Resource) -> bool:
        return not of_type(resource) and permits(token, resource, {Letter.READ, Letter.SEARCH}, by_id=True)

    def of_type(resource: Resource) -> bool:
        return bool(resource["resourceType"] == resource_type)

    if found is None:
        assert not any(is_match(resource) for resource in chart)
    elif sees_everything(token):
        assert found == [resource for resource in chart if is_match(resource) or is_extra(resource)]
    else:
        # Nobody asked for includes, so that anything else may be there because of a hidden match.
        assert found == [resource for resource in chart if is_match(resource)]


@BUDGET
@given(
    charts,
    tokens,
    st.sampled_from(TYPES),
    st.sampled_from(["/{}/_history", "/_history", "/_history?_type={}", "/?_type={}"]),
)
async def test_a_history_or_a_search_of_the_system_gives_exactly_what_can_be_found(
    gateways: OracleGateways, chart: Chart, token: OracleToken, resource_type: str, form: str
) -> None:
    gateway, bearer = gateways.load(chart, token)
    found = await get_all_pages(gateway, bearer, form.format(resource_type))
    history, of_one_type = "_history" in form, form == "/{}/_history"

    def is_match(resource: Resource) -> bool:
        named = resource["resourceType"] == resource_type or not (of_one_type or form == "/?_type={}")
        # A version is shown where the resource, as the server would answer it now, is found as well.
        versions = (resource, current_version(chart, resource)) if history else (resource,)
        return named and all(permits(token, version, {Letter.SEARCH}, by_id=False) for version in versions)

    def is_extra(resource: Resource) -> bool:
        strange = form == "/?_type={}" and resource["resourceType"] != resource_type
        return strange and permits(token, resource, {Letter.READ, Letter.SEARCH}, by_id=True)

    if found is None:
        in_question = [resource for resource in chart if "{}" not in form or resource["resourceType"] == resource_type]
        assert not any(is_match(resource) for resource in in_question)
    elif sees_everything(token):
        assert found == [resource for resource in chart if is_match(resource) or is_extra(resource)]
    else:
        # Nobody asked for includes, so that anything else may be there because of a hidden match.
        assert found == [resource for resource in chart if is_match(resource)]


@BUDGET
@given(charts, tokens, st.sampled_from(PATIENTS), st.sampled_from([(), ("Observation", "Patient"), ("Organization",)]))
async def test_everything_of_a_patient_is_what_the_scopes_permit_to_read_and_to_find(
    gateways: OracleGateways, chart: Chart, token: OracleToken, patient: str, types: tuple[str, ...]
) -> None:
    """The server answers with its whole chart, whoever is asked for."""
    gateway, bearer = gateways.load(chart, token)

    def has_letters(resource: Resource) -> bool:
        return all(permits(token, resource, {letter}, by_id=True) for letter in (Letter.READ, Letter.SEARCH))

    query = f"?_type={','.join(types)}" if types else ""
    path = f"/Patient/{patient}/$everything{query}"
    response = await gateway.request(path, None, headers={"authorization": f"Bearer {bearer}"})
    named = next((one for one in chart if address(one) == ("Patient", patient)), None)
    if response.status_code == 403:
        assert named is None or not has_letters(named)
    elif response.status_code == 404:
        assert named is None or not permits(token, named, {Letter.READ}, by_id=True)
    else:
        assert sees_everything(token) or (named is not None and permits(token, named, {Letter.READ}, by_id=True))
        found = await get_all_pages(gateway, bearer, path)
        shown = [one for one in chart if has_letters(one) and (not types or one["resourceType"] in types)]
        assert [one for one in found or () if one["resourceType"] != "OperationOutcome"] == shown


def address(resource: Resource) -> tuple[str, str]:
    """The type and the id of the resource."""
    return resource["resourceType"], resource["id"]


def current_version(chart: Chart, resource: Resource) -> Resource:
    """The version that a read of the same address returns."""
    return next(
        version
        for version in chart
        if (version["resourceType"], version["id"]) == (resource["resourceType"], resource["id"])
    )


@BUDGET
@given(charts, tokens, st.sampled_from(["", "/_history/1", "?_elements=status", "?_summary=text"]), st.data())
async def test_a_read_shows_exactly_what_the_scopes_permit(
    gateways: OracleGateways, chart: Chart, token: OracleToken, rest: str, data: st.DataObject
) -> None:
    gateway, bearer = gateways.load(chart, token)
    asked = data.draw(st.sampled_from(chart))
    answered = gateways.lenient.read_response = data.draw(st.sampled_from(chart), label="what the server answers")
    headers = {"authorization": f"Bearer {bearer}"}
    path = f"/{asked['resourceType']}/{asked['id']}{rest}"
    response = await gateway.request(path, None, headers=headers)
    same = (asked["resourceType"], asked["id"]) == (answered["resourceType"], answered["id"])
    if response.status_code == 200 and not same:
        # Only a token that sees everything is handed what the server says, unread.
        assert all(permits(token, resource, {Letter.READ}, by_id=True) for resource in chart)
        return
    assert (response.status_code == 200) == (same and permits(token, answered, {Letter.READ}, by_id=True))
    assert response.status_code in {200, 403, 404}
    if response.status_code == 200:
        assert response.json() == answered
    head = await gateway.request(path, None, method="HEAD", headers={**headers, "if-none-match": "*"})
    assert (head.status_code, head.content) in {
        (response.status_code, b""),
        (304 if response.status_code == 200 else 0, b""),
    }
