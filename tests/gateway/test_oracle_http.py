"""The oracle over HTTP: what leaves a running gateway is exactly what a plain reading of the scopes permits.

The server behind leaves every parameter unread and answers with all it holds, page by page; its reads answer whatever
they like. Token, parser, decision, judge, paging and writing are all in the way that is measured.
"""

import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.scopes.model import Letter
from gateway.scopes.unparse import unparse
from tests.gateway.lenient import Lenient, lenient_server
from tests.gateway.marks import link_of, resources_in
from tests.gateway.running import Running, running_gateway
from tests.policy.oracle import Resource, Token, permits, sees_everything, shown_on
from tests.policy.strategies import TYPES, charts, queries, tokens

pytestmark = pytest.mark.asyncio(loop_scope="module")

# A fixed budget in CI; by hand: ORACLE_HTTP_EXAMPLES=5000 pytest tests/gateway/test_oracle_http.py
BUDGET = settings(max_examples=int(os.environ.get("ORACLE_HTTP_EXAMPLES", "200")), deadline=None)
PAGE_SIZE = 5
FORM = {"content-type": "application/x-www-form-urlencoded"}

Chart = tuple[Resource, ...]
Test = Callable[[Resource], bool]


class House:
    """One lenient server, and in front of it a gateway for each way that a practitioner's reach can be drawn."""

    def __init__(self, lenient: Lenient, gateways: dict[bool, Running]) -> None:
        self.lenient = lenient
        self.gateways = gateways

    def __repr__(self) -> str:
        return "house"  # so that a counterexample shows the chart and the token alone

    def enter(self, chart: Chart, token: Token) -> tuple[Running, str]:
        """Put the chart into the server; the gateway that fits the token, and the token itself."""
        self.lenient.resources, self.lenient.read_answer = chart, None
        gateway = self.gateways[token.practitioner_sees_all]
        claims: dict[str, Any] = {"patient": token.patient, "fhirUser": token.user}
        return gateway, gateway.token(unparse(token.scopes), **claims)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with lenient_server() as lenient:
        lenient.page_size = PAGE_SIZE
        base, folders = lenient.base_url, [tmp_path_factory.mktemp(name) for name in ("all", "compartment")]
        reaches = [{"practitioner_reach": reach} for reach in ("all", "compartment")]
        async with (
            running_gateway(base, folders[0], compartments=reaches[0]) as everyone,
            running_gateway(base, folders[1], compartments=reaches[1]) as own_patients,
        ):
            yield House(lenient, {True: everyone, False: own_patients})


async def leaving(gateway: Running, token: str, path: str, *, form: str | None = None) -> list[Resource] | None:
    """The resources of the answer and of every page behind it; None where the request is refused."""
    headers = {"authorization": f"Bearer {token}"}
    if form is None:
        answer = await gateway.ask(path, None, headers=headers)
    else:
        answer = await gateway.ask(path, None, method="POST", headers={**headers, **FORM}, content=form)
    if answer.status_code == 403:
        return None
    found = resources_in(answer)
    while (following := link_of(answer, "next")) is not None:
        answer = await gateway.ask(following.removeprefix(gateway.base_url), None, headers=headers)
        assert answer.status_code == 200
        found += resources_in(answer)
    return found


def pages(chart: Chart) -> list[Chart]:
    """The chart as the server pages it."""
    return [chart[first : first + PAGE_SIZE] for first in range(0, len(chart), PAGE_SIZE)]


@BUDGET
@given(charts, tokens, st.sampled_from(TYPES), queries, st.booleans())
async def test_a_search_and_its_pages_give_exactly_what_the_scopes_permit(
    house: House, chart: Chart, token: Token, resource_type: str, ids: tuple[str, ...], by_post: bool
) -> None:
    gateway, bearer = house.enter(chart, token)
    query = f"_id={','.join(ids)}" if ids else ""
    if by_post:
        found = await leaving(gateway, bearer, f"/{resource_type}/_search", form=query)
    else:
        found = await leaving(gateway, bearer, f"/{resource_type}?{query}")

    def is_match(resource: Resource) -> bool:
        named = not ids or resource["id"] in ids
        return of_type(resource) and named and permits(token, resource, {Letter.SEARCH}, by_id=bool(ids))

    def is_include(resource: Resource) -> bool:
        return not of_type(resource) and permits(token, resource, {Letter.READ, Letter.SEARCH}, by_id=True)

    def of_type(resource: Resource) -> bool:
        return bool(resource["resourceType"] == resource_type)

    if found is None:
        assert not any(is_match(one) for one in chart)
    elif sees_everything(token):
        assert found == [one for one in chart if is_match(one) or is_include(one)]
    else:
        assert_shown(found, chart, is_match, is_include)


@BUDGET
@given(
    charts,
    tokens,
    st.sampled_from(TYPES),
    st.sampled_from(["/{}/_history", "/_history", "/_history?_type={}", "/?_type={}"]),
)
async def test_a_history_or_a_search_of_the_system_gives_exactly_what_can_be_found(
    house: House, chart: Chart, token: Token, resource_type: str, form: str
) -> None:
    gateway, bearer = house.enter(chart, token)
    found = await leaving(gateway, bearer, form.format(resource_type))
    history, of_one_type = "_history" in form, form == "/{}/_history"

    def is_match(resource: Resource) -> bool:
        named = resource["resourceType"] == resource_type or not (of_one_type or form == "/?_type={}")
        # A version is shown where the resource, as the server would answer it now, is found as well.
        versions = (resource, as_it_stands(chart, resource)) if history else (resource,)
        return named and all(permits(token, one, {Letter.SEARCH}, by_id=False) for one in versions)

    def is_include(resource: Resource) -> bool:
        # Not asked for, so that it counts as an include: those may be read as well as found.
        strange = form == "/?_type={}" and resource["resourceType"] != resource_type
        return strange and permits(token, resource, {Letter.READ, Letter.SEARCH}, by_id=True)

    if found is None:
        in_question = [one for one in chart if "{}" not in form or one["resourceType"] == resource_type]
        assert not any(is_match(one) for one in in_question)
    elif sees_everything(token):
        assert found == [one for one in chart if is_match(one) or is_include(one)]
    else:
        assert_shown(found, chart, is_match, is_include)


def assert_shown(found: list[Resource], chart: Chart, is_match: Test, is_include: Test) -> None:
    """The matches are those of the server's pages in their order, the includes those that came along with them."""
    expected = [one for page in pages(chart) for one in shown_on(page, is_match, is_include)]
    assert [one for one in found if is_match(one)] == [one for one in expected if is_match(one)]
    includes = [{address(one) for one in side if not is_match(one)} for side in (found, expected)]
    assert includes[0] == includes[1]


def address(resource: Resource) -> tuple[str, str]:
    """The type and the id."""
    return resource["resourceType"], resource["id"]


def as_it_stands(chart: Chart, resource: Resource) -> Resource:
    """What a read of the same address brings."""
    return next(one for one in chart if (one["resourceType"], one["id"]) == (resource["resourceType"], resource["id"]))


@BUDGET
@given(charts, tokens, st.sampled_from(["", "/_history/1", "?_elements=status", "?_summary=text"]), st.data())
async def test_a_read_shows_exactly_what_the_scopes_permit(
    house: House, chart: Chart, token: Token, rest: str, data: st.DataObject
) -> None:
    gateway, bearer = house.enter(chart, token)
    asked = data.draw(st.sampled_from(chart))
    answered = house.lenient.read_answer = data.draw(st.sampled_from(chart), label="what the server answers")
    headers = {"authorization": f"Bearer {bearer}"}
    path = f"/{asked['resourceType']}/{asked['id']}{rest}"
    answer = await gateway.ask(path, None, headers=headers)
    same = (asked["resourceType"], asked["id"]) == (answered["resourceType"], answered["id"])
    if answer.status_code == 200 and not same:
        # Only a token that sees everything is handed what the server says, unread.
        assert all(permits(token, one, {Letter.READ}, by_id=True) for one in chart)
        return
    assert (answer.status_code == 200) == (same and permits(token, answered, {Letter.READ}, by_id=True))
    assert answer.status_code in {200, 403, 404}
    if answer.status_code == 200:
        assert answer.json() == answered
    head = await gateway.ask(path, None, method="HEAD", headers={**headers, "if-none-match": "*"})
    assert (head.status_code, head.content) in {
        (answer.status_code, b""),
        (304 if answer.status_code == 200 else 0, b""),
    }
