"""Each request enforced and in shadow mode in front of sekmet: the record says what enforcement answers."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.policy.reasons import Reason
from gateway.policy.refusal_texts import REFUSAL_TEXTS
from tests.proxy.leaked_marks import ids_in, link_of, refusal_reason
from tests.proxy.running_gateway import RunningGateway
from tests.proxy.shadow.shadow_gateways import (
    EXPIRED,
    UNLISTED,
    Expected,
    ask,
    ask_and_look,
    entries,
    last_record,
    plain_answer,
    shadow_gateway,
)
from tests.servers.people import B_MARKER
from tests.servers.process import Server

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]
OUT_OF_REACH, SCOPE = Reason.OUT_OF_REACH, Reason.SCOPE_INSUFFICIENT
FIVE_OF_ALL = "/Observation?_id=pat-a-observation-1,pat-b-observation-1,pat-b-observation-2&_count=5"

CASES = {
    "a read of an own record is the same": Expected("/Patient/pat-a"),
    "a read of another patient's record is not found": Expected("/Patient/pat-b", reason=OUT_OF_REACH),
    "a version of another patient's record is not found": Expected("/Patient/pat-b/_history/1", reason=OUT_OF_REACH),
    "a version of an own record is the same": Expected("/Patient/pat-a/_history/1"),
    "a read without a scope is refused": Expected(
        "/Condition/pat-a-condition-1", "patient/Observation.rs", SCOPE, "patient/Condition.r"
    ),
    "a search without a scope is refused": Expected(
        "/Condition?patient=pat-a", "patient/Observation.rs", SCOPE, "patient/Condition.s"
    ),
    "a token without scopes is refused everything": Expected("/Patient/pat-a", "openid", SCOPE, "patient/Patient.r"),
    "a search loses the records of others": Expected(
        FIVE_OF_ALL, dropped={("Observation", OUT_OF_REACH): 2}, rewritten=("patient",)
    ),
    "a search for the own patient loses nothing": Expected("/Observation?patient=Patient/pat-a&_count=2"),
    "a count counts own records": Expected("/Observation?_summary=count", rewritten=("patient",)),
    "elements are widened": Expected(
        "/Observation?patient=Patient/pat-a&_count=2&_elements=status", rewritten=("_elements",)
    ),
    "a summary is left away": Expected("/Patient/pat-a?_summary=true", rewritten=("_summary",)),
    "an include of a type without scope is left out": Expected(
        "/Observation?patient=Patient/pat-a&_include=Observation:performer&_count=3",
        "patient/Observation.rs",
        dropped={("Practitioner", SCOPE): 1},
        rewritten=("_include",),
        left_out=("_include",),
    ),
    "a history loses the records of others": Expected(
        "/Patient/_history?_count=30", dropped={("Patient", OUT_OF_REACH): 23}
    ),
    "an instance's history of another patient is not found": Expected("/Patient/pat-b/_history", reason=OUT_OF_REACH),
    "a chain through a type without scope is refused": Expected(
        "/Observation?subject:Patient.name=x", "patient/Observation.rs", Reason.PARAMETER_OUT_OF_REACH
    ),
    "a shared type is searched by id alone": Expected("/Practitioner", reason=Reason.SEARCH_BY_ID_ONLY),
    "a shared type is read": Expected("/Practitioner/practitioner-1"),
    "a Binary of another patient is not found": Expected("/Binary/pat-b-binary", reason=OUT_OF_REACH),
    "a Binary of the own patient is the same": Expected("/Binary/pat-a-binary"),
    "who may read everything loses nothing": Expected("/Observation?_count=4", "system/*.rs"),
    "a constraint loses what it excludes": Expected(
        "/Observation?_id=pat-a-observation-1&category=laboratory",
        "patient/Observation.rs?category=survey",
        dropped={("Observation", OUT_OF_REACH): 1},
        rewritten=("category", "patient"),
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(sekmet: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    async with shadow_gateway(sekmet.base_url, tmp_path_factory.mktemp("shadow"), shadow=entries()) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twin(sekmet: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    """The same gateway without shadow mode."""
    async with shadow_gateway(sekmet.base_url, tmp_path_factory.mktemp("twin")) as running:
        yield running


@pytest.mark.parametrize("expected", CASES.values(), ids=CASES)
async def test_the_record_says_what_enforcement_answers(
    gateway: RunningGateway, twin: RunningGateway, expected: Expected
) -> None:
    response, record = await ask_and_look(gateway, expected.path, expected.scope)
    enforced, enforced_record = await ask_and_look(twin, expected.path, expected.scope)

    assert response.status_code == 200
    assert expected.describes(record.shadow)
    assert enforced_record.reason is expected.reason
    assert record.decision is enforced_record.decision is not None
    assert record.grant is not None
    assert record.grant.access.scope_text == expected.scope
    assert enforced.status_code == REFUSAL_TEXTS[expected.reason].status
    if expected.reason is Reason.PERMITTED and enforced.json()["resourceType"] == "Bundle":
        lost = ids_in(response) - ids_in(enforced)
        assert bool(lost) is bool(expected.dropped)


@pytest.mark.parametrize("client", [UNLISTED, EXPIRED])
@pytest.mark.parametrize("expected", CASES.values(), ids=CASES)
async def test_other_clients_get_what_they_get_without_shadow_mode(
    gateway: RunningGateway, twin: RunningGateway, expected: Expected, client: str
) -> None:
    response, record = await ask_and_look(gateway, expected.path, expected.scope, client)
    enforced = await ask(twin, expected.path, expected.scope, client)

    assert plain_answer(gateway, response) == plain_answer(twin, enforced)
    assert record.shadow is None


async def test_pages_are_followed_without_enforcement(gateway: RunningGateway) -> None:
    response, seen = await ask(gateway, "/Patient?_count=7"), set[str]()
    for _ in range(10):
        seen |= ids_in(response)
        assert last_record(gateway, response).shadow is not None
        following = link_of(response, "next")
        if following is None:
            break
        assert following.startswith(gateway.base_url)
        response = await ask(gateway, following.removeprefix(gateway.base_url))
    assert len(seen) == 24
    assert B_MARKER in (await ask(gateway, "/Patient/pat-b")).text


async def test_what_the_server_does_not_have_is_not_found_in_both(gateway: RunningGateway) -> None:
    response, record = await ask_and_look(gateway, "/Observation/nope")
    assert (response.status_code, refusal_reason(response)) == (404, "not_found")
    assert Expected("").describes(record.shadow)


async def test_a_client_that_has_the_record_is_told_so(gateway: RunningGateway) -> None:
    etag = (await ask(gateway, "/Patient/pat-b")).headers["etag"]
    response, record = await ask_and_look(gateway, "/Patient/pat-b", headers={"if-none-match": etag})
    assert response.status_code == 304
    assert Expected("", reason=OUT_OF_REACH).describes(record.shadow)


async def test_a_search_by_post_is_in_shadow_mode(gateway: RunningGateway) -> None:
    form = {"_id": "pat-a,pat-b"}
    response, record = await ask_and_look(gateway, "/Patient/_search", method="POST", data=form)
    assert ids_in(response) == {"Patient/pat-a", "Patient/pat-b"}
    assert Expected("", dropped={("Patient", OUT_OF_REACH): 1}, rewritten=("_id",)).describes(record.shadow)
