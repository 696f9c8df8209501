"""The app gallery opens apps for the signed-in user, as in OpenMRS."""

import pytest

from tests.smart_server.portal_user import read_patient_records, sign_in_to_portal
from tests.smart_server.running_server import LAUNCH_URI, RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


async def test_the_gallery_starts_an_app_by_one_click(server: RunningServer) -> None:
    person = await sign_in_to_portal(server)
    page = await person.open(f"{server.issuer}/apps?patient=pat-a")
    assert "Growth Chart" in page.text
    assert "Backend" not in page.text, "an app that cannot be launched"
    form = next(form for form in page.forms if form.value("client") == "public-app")
    opened = await person.open(form.action, data=form.fields)
    assert opened.left_for is not None
    assert opened.left_for.startswith(f"{LAUNCH_URI}?")
    assert opened.parameters["iss"] == server.base
    answer = await read_patient_records(server, opened.parameters["launch"], person=person)
    assert answer["patient"] == "pat-a"
    assert answer["need_patient_banner"] is True


async def test_the_gallery_of_a_patient_opens_apps_for_that_patient_alone(server: RunningServer) -> None:
    person = await sign_in_to_portal(server, "patient")
    page = await person.open(f"{server.issuer}/apps?patient=pat-b")
    form = next(form for form in page.forms if form.value("client") == "public-app")
    assert form.value("patient") == "pat-a"
    pairs = [(name, "pat-b" if name == "patient" else value) for name, value in form.fields]
    opened = await person.open(form.action, data=pairs)
    answer = await read_patient_records(server, opened.parameters["launch"], person=person)
    assert answer["patient"] == "pat-a"


async def test_the_gallery_opens_nothing_that_is_not_there(server: RunningServer) -> None:
    person = await sign_in_to_portal(server)
    page = await person.open(f"{server.issuer}/apps")
    form = next(form for form in page.forms if form.value("client") == "public-app")
    for change, reason in (
        ({"client": "nobody"}, "client_unknown"),
        ({"client": ""}, "client_unknown"),
        ({"client": "backend"}, "no such launch URI"),
        ({"patient": "nobody"}, "not on the FHIR server"),
        ({"patient": "Patient/pat-a"}, "not on the FHIR server"),
    ):
        pairs = [(name, change.get(name, value)) for name, value in form.fields]
        answer = await person.open(form.action, data=pairs)
        assert answer.left_for is None
        assert reason in answer.text, change
