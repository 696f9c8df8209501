"""Over the whole population of sekmet, what is recorded in shadow mode is what another gateway enforces."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.policy.reasons import Reason
from tests.proxy.leaked_marks import ids_in
from tests.proxy.running_gateway import RunningGateway
from tests.proxy.shadow.shadow_gateways import ask_and_look, entries, shadow_gateway
from tests.servers.population import population
from tests.servers.process import Server

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]
Pair = tuple[RunningGateway, RunningGateway]

SCOPES = (
    "patient/*.rs",
    "patient/Observation.rs?category=laboratory patient/Encounter.r",
    "user/*.rs patient/Patient.rs",
    "openid fhirUser",
)
TYPES = sorted({resource["resourceType"] for resource in population()})
# Of each type the first records, which are those of the first patients, and every 40th of the others.
RECORDS = [
    f"/{resource_type}/{resource['id']}"
    for resource_type in TYPES
    for number, resource in enumerate(one for one in population() if one["resourceType"] == resource_type)
    if number < 3 or number % 40 == 0
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(sekmet: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    folder, twin, shadow = tmp_path_factory.mktemp("shadow"), tmp_path_factory.mktemp("twin"), entries(operations=True)
    async with (
        shadow_gateway(sekmet.base_url, folder, shadow=shadow) as gateway,
        shadow_gateway(sekmet.base_url, twin) as enforced,
    ):
        yield gateway, enforced


@pytest.mark.parametrize("scope", SCOPES)
async def test_every_read_is_recorded_as_it_is_enforced(pair: Pair, scope: str) -> None:
    different = []
    for path in RECORDS:
        response, record = await ask_and_look(pair[0], path, scope)
        _, enforced = await ask_and_look(pair[1], path, scope)
        assert response.status_code == 200, path
        assert record.shadow is not None
        if record.shadow.reason is not enforced.reason:
            different.append((path, record.shadow.reason, enforced.reason))
    assert different == []


@pytest.mark.parametrize("scope", SCOPES)
async def test_every_search_loses_what_enforcement_does_not_find(pair: Pair, scope: str) -> None:
    different = []
    # A Provenance may be permitted by its target, and is not found by the narrowed search all the same.
    for resource_type in (name for name in TYPES if name != "Provenance"):
        response, record = await ask_and_look(pair[0], f"/{resource_type}?_count=30", scope)
        assert response.status_code == 200, resource_type
        assert record.shadow is not None
        found = ids_in(response)
        names = ",".join(sorted(name.partition("/")[2] for name in found))
        enforced, enforced_record = await ask_and_look(pair[1], f"/{resource_type}?_id={names}&_count=30", scope)
        if record.shadow.reason is not Reason.PERMITTED:
            # Shared types may be found by `_id` alone.
            is_same = record.shadow.reason in {enforced_record.reason, Reason.SEARCH_BY_ID_ONLY}
        else:
            is_same = sum(record.shadow.dropped.values()) == len(found - ids_in(enforced))
        if not is_same:
            different.append((resource_type, record.shadow, enforced_record.reason))
    assert different == []


OPERATIONS = {
    "of the own patient": ("/Patient/pat-a/$everything", Reason.PERMITTED),
    "of another patient": ("/Patient/pat-b/$everything", Reason.OUT_OF_REACH),
}


@pytest.mark.parametrize(("path", "reason"), OPERATIONS.values(), ids=OPERATIONS)
async def test_operations_are_in_shadow_mode_where_that_is_asked_for(pair: Pair, path: str, reason: Reason) -> None:
    response, record = await ask_and_look(pair[0], path)
    _, enforced = await ask_and_look(pair[1], path)
    assert response.status_code == 200
    assert record.shadow is not None
    assert record.shadow.reason is enforced.reason is reason


async def test_an_operation_that_the_manifest_lacks_is_refused_to_all(pair: Pair) -> None:
    for gateway in pair:
        response, record = await ask_and_look(gateway, "/Patient/pat-a/$reboot")
        assert (response.status_code, record.reason, record.shadow) == (403, Reason.OPERATION_NOT_ALLOWED, None)
