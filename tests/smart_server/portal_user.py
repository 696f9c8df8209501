"""Users of the portal, and the records that a launched app reads."""

from typing import Any

from tests.smart_server.person_in_browser import Person
from tests.smart_server.running_server import RunningServer

SCOPE = "launch patient/Observation.rs openid fhirUser"


async def sign_in_to_portal(server: RunningServer, user: str = "doctor") -> Person:
    """A person who signed in to the portal, without an app."""
    person = server.person()
    await person.sign_in(await person.open(f"{server.issuer}/apps"), user)
    return person


async def read_patient_records(server: RunningServer, handle: str, **options: Any) -> dict[str, Any]:
    """The token response of a launch. The app must read records of this patient only."""
    app = server.app()
    answer = await server.request_tokens(app, SCOPE, launch=handle, **options)
    response = (await app.read("/Observation", answer["access_token"])).json()
    subjects = {entry["resource"]["subject"]["reference"] for entry in response["entry"]}
    assert {subject.partition("/_history")[0] for subject in subjects} == {f"Patient/{answer['patient']}"}
    return answer
