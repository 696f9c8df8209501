"""The pickers in front of a real HAPI FHIR, which supports no compartment searches (hapi.md)."""

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from tests.real_servers.servers_under_test import NEEDS_HAPI
from tests.servers.hapi_server import start_hapi
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.hapi, NEEDS_HAPI]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[False, True], ids=["easy", "strict"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[RunningServer]:
    server = start_hapi(strict=request.param)
    try:
        async with run_smart_server(server.base_url) as running:
            yield running
    finally:
        server.stop()


async def test_a_clinician_finds_a_patient_by_name_and_a_visit(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    page = await person.open(
        app.authorization_url("launch/patient launch/encounter patient/Patient.rs patient/Encounter.rs")
    )
    page = await person.sign_in(page)
    offered = page.form("/patient").choices["patient"]
    assert len(offered) == 20
    page = await person.open(f"{page.url}/patient?name=SECRET-OF-B")
    assert page.form("/patient").choices["patient"] == ["pat-b"]
    page = await person.choose_patient(page, "pat-b")
    visits = [visit for visit in page.form("/encounter").choices["encounter"] if visit]
    assert visits
    page = await person.submit(page, "/encounter", encounter=visits[0], decision="choose")
    page = await person.agree(page)
    answer = (await app.exchange(page.parameters["code"])).json()
    assert (answer["patient"], answer["encounter"]) == ("pat-b", visits[0])
    assert (await app.read(f"/Encounter/{visits[0]}", answer["access_token"])).status_code == 200
    assert (await app.read("/Patient/pat-a", answer["access_token"])).status_code == 404


TYPED = {
    "both names": "Berta SECRET-OF-B",
    "the names the other way around": "secret-of-b, berta",
    "the beginning of a name": "bert",
    "a name and the birth date": "Berta 1962-06-08",
    "the birth date as people write it": "SECRET-OF-B 8.6.1962",
    "a record number": "F0D80059",
}


@pytest.mark.parametrize("typed", TYPED.values(), ids=TYPED)
async def test_what_people_type_finds_her_though_hapi_searches_inside_of_no_name(
    server: RunningServer, typed: str
) -> None:
    """HAPI refuses `:contains` by default (HAPI-1258): the plain search follows."""
    person = server.person()
    page = await person.sign_in(await person.open(server.app().authorization_url("launch/patient patient/Patient.rs")))
    page = await person.open(f"{page.url}/patient?{urlencode({'name': typed})}")
    assert page.form("/patient").choices["patient"] == ["pat-b"]
    nobody = await person.open(f"{page.url.partition('/patient')[0]}/patient?name=ert")
    assert (nobody.status, "No patient found" in nobody.text) == (200, True)


async def test_a_patient_is_led_to_their_own_record_alone(server: RunningServer) -> None:
    app = server.app()
    answer = await server.request_tokens(app, "launch/patient patient/*.rs", user="patient")
    assert answer["patient"] == "pat-a"
    assert (await app.read("/Patient/pat-b", answer["access_token"])).status_code == 404
