"""A clinician finds a patient in the picker and in the gallery by what people know of them."""

from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from tests.servers.sekmet import start_sekmet
from tests.smart_server.portal_user import sign_in_to_portal
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

URSULA = {
    "resourceType": "Patient",
    "id": "ursula",
    "name": [{"family": "Late", "given": ["Ursula", "Maria"]}],
    "birthDate": "1962-03-14",
    "deceasedBoolean": True,
    "identifier": [{"system": "urn:records", "value": "4417-0082"}],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[RunningServer]:
    """A SMART server in front of a FHIR server with a patient of its own."""
    fhir_server = start_sekmet()
    try:
        async with httpx2.AsyncClient(timeout=30, trust_env=False) as client:
            stored = await client.put(f"{fhir_server.base_url}/Patient/ursula", json=URSULA)
            assert stored.status_code in {200, 201}, stored.text
        async with run_smart_server(fhir_server.base_url) as running:
            yield running
    finally:
        fhir_server.stop()


@pytest.mark.parametrize(
    "typed", ["Ursula Late", "Late, Ursula", "late maria", "1962-03-14", "14.3.1962", "4417-0082", "Late 1962-03-14"]
)
async def test_the_picker_and_the_gallery_find_her(server: RunningServer, typed: str) -> None:
    person = server.person()
    page = await person.sign_in(await person.open(server.app().authorization_url("launch/patient patient/Patient.rs")))
    page = await person.open(f"{page.url}/patient?{httpx2.QueryParams({'name': typed})}")
    assert page.form("/patient").choices["patient"] == ["ursula"]
    assert "Deceased, born 1962-03-14" in page.text
    portal = await sign_in_to_portal(server)
    gallery = await portal.open(f"{server.issuer}/apps?{httpx2.QueryParams({'name': typed})}")
    assert 'value="ursula"' in gallery.html
    assert gallery.html.count('class="person"') == 1


async def test_many_patients_are_said_to_be_the_first_of_many(server: RunningServer) -> None:
    person = server.person()
    page = await person.sign_in(await person.open(server.app().authorization_url("launch/patient patient/Patient.rs")))
    assert "The first 20 of many patients" in page.text
    assert (
        "The first 20 of many patients" in (await (await sign_in_to_portal(server)).open(f"{server.issuer}/apps")).text
    )
