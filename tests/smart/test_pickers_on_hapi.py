"""The pickers in front of a real HAPI FHIR, which searches no compartments (hapi.md)."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.servers.hapi_server import start_hapi
from tests.smart.house import House, smart_house
from tests.upstreams.upstream import NEEDS_HAPI

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.hapi, NEEDS_HAPI]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[False, True], ids=["easy", "strict"])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    server = start_hapi(strict=request.param)
    try:
        async with smart_house(server.base_url) as running:
            yield running
    finally:
        server.stop()


async def test_a_clinician_finds_a_patient_by_name_and_a_visit(house: House) -> None:
    app, person = house.app(), house.person()
    page = await person.go(
        app.authorization_url("launch/patient launch/encounter patient/Patient.rs patient/Encounter.rs")
    )
    page = await person.sign_in(page)
    offered = page.form("/patient").choices["patient"]
    assert len(offered) == 20
    page = await person.go(f"{page.url}/patient?name=SECRET-OF-B")
    assert page.form("/patient").choices["patient"] == ["pat-b"]
    page = await person.choose(page, "pat-b")
    visits = [one for one in page.form("/encounter").choices["encounter"] if one]
    assert visits
    page = await person.send(page, "/encounter", encounter=visits[0], decision="choose")
    page = await person.agree(page)
    answer = (await app.exchange(page.parameters["code"])).json()
    assert (answer["patient"], answer["encounter"]) == ("pat-b", visits[0])
    assert (await app.read(f"/Encounter/{visits[0]}", answer["access_token"])).status_code == 200
    assert (await app.read("/Patient/pat-a", answer["access_token"])).status_code == 404


async def test_a_patient_is_led_to_their_own_record_alone(house: House) -> None:
    app = house.app()
    answer = await house.tokens(app, "launch/patient patient/*.rs", user="patient")
    assert answer["patient"] == "pat-a"
    assert (await app.read("/Patient/pat-b", answer["access_token"])).status_code == 404
