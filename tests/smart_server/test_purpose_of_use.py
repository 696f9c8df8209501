"""Records with security labels, and the server's own tokens: by a purpose that the user names, or by a role."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from gateway.telemetry.server_event import EventKind
from tests.servers import valkey
from tests.servers.ports import free_port
from tests.smart_server.admin_client import admin_request
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import PASSWORD_HASH, SECRET, RunningServer, run_smart_server
from tests.smart_server.smart_app import App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

EMERGENCY = "http://terminology.hl7.org/CodeSystem/v3-ActReason|ETREAT"
TEACHING = "teaching"
SCOPE = "launch/patient patient/Observation.rs"
QUESTION = "Do you need specially protected records?"


def _protect(settings: dict[str, Any]) -> None:
    settings["record_rules"] = {
        "security_labels": {
            "labels": ["R", "V"],
            "roles": ["privacy officer"],
            "purposes_of_use": [EMERGENCY, TEACHING],
        }
    }
    smart_server = settings["smart_server"]
    smart_server["purposes_of_use"] = [
        {"code": EMERGENCY},
        {"code": TEACHING, "name": "Teaching", "user_types": ["Practitioner"], "roles": ["teacher"]},
    ]
    smart_server["users"] += [
        {"username": "teacher", "name": "Tom Teacher", "password_hash": PASSWORD_HASH,
         "fhir_user": "Practitioner/practitioner-2", "roles": ["teacher"]},
        {"username": "officer", "name": "Olga Officer", "password_hash": PASSWORD_HASH,
         "fhir_user": "Practitioner/practitioner-2", "roles": ["privacy officer"]},
    ]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def protecting(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A server with rules about labels."""
    async with run_smart_server(fhir_server, change=_protect) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def labelled(fhir_server: str) -> AsyncIterator[str]:
    """The id of an Observation of patient A that has the label R."""
    body = {
        "resourceType": "Observation", "status": "final", "code": {"text": "protected"},
        "subject": {"reference": "Patient/pat-a"},
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]},
    }  # fmt: skip
    async with httpx2.AsyncClient(trust_env=False) as client:
        created = (await client.post(f"{fhir_server}/Observation", json=body)).json()
        yield created["id"]
        await client.delete(f"{fhir_server}/Observation/{created['id']}")


async def sees(app: App, token: str, record: str) -> bool:
    """Whether the token reads the record, and finds it."""
    read = await app.read(f"/Observation/{record}", token)
    found = await app.read(f"/Observation?_id={record}", token)
    assert (read.status_code == 200) is bool(found.json().get("entry"))
    return bool(read.status_code == 200)


async def agree(server: RunningServer, purpose: str | None, *, user: str = "doctor", **more: str) -> tuple[App, str]:
    """The app and its token, after a user agreed and named the purpose; None leaves the field out."""
    app = server.app()
    person, page = await server.open_consent_page(app, SCOPE, user=user, prompt="consent")
    named = {} if purpose is None else {"purpose": purpose}
    page = await person.agree(page, **named, **more)
    response = await app.exchange(page.parameters["code"])
    return app, response.json()["access_token"]


async def test_the_page_asks_who_may_name_a_purpose_and_nobody_else(protecting: RunningServer) -> None:
    expected = {"doctor": ["", EMERGENCY], "teacher": ["", EMERGENCY, TEACHING], "patient": []}
    for user, values in expected.items():
        _, page = await protecting.open_consent_page(protecting.app(), SCOPE, user=user, prompt="consent")
        form = page.form("/consent")
        assert form.choices.get("purpose", []) == values
        assert (QUESTION in page.text) is bool(values)
        # What is ticked already is that nothing protected is shown.
        assert form.value("purpose") == ("" if values else None)
    _, page = await protecting.open_consent_page(protecting.app(), "openid fhirUser")
    assert QUESTION not in page.text, "an app that reads no records"


@pytest.mark.parametrize(
    ("user", "purpose", "visible"),
    [
        ("doctor", EMERGENCY, True),
        ("doctor", "", False),
        ("doctor", None, False),
        ("doctor", TEACHING, False),
        ("doctor", "made up", False),
        ("teacher", TEACHING, True),
        ("patient", EMERGENCY, False),
        ("officer", "", True),
    ],
    ids=[
        "a purpose", "none", "a form without the question", "a purpose of others", "one that does not exist",
        "a purpose of the role", "a patient who sends one", "a role that needs none",
    ],
)  # fmt: skip
async def test_protected_records_are_shown_for_a_purpose_or_a_role(
    protecting: RunningServer, labelled: str, user: str, purpose: str | None, visible: bool
) -> None:
    app, token = await agree(protecting, purpose, user=user)
    assert await sees(app, token, labelled) is visible


async def test_a_purpose_stays_with_the_grant_and_is_told_where_it_matters(
    protecting: RunningServer, labelled: str
) -> None:
    app = protecting.app()
    person, page = await protecting.open_consent_page(app, f"{SCOPE} offline_access")
    page = await person.agree(page, purpose=EMERGENCY)
    event = next(event for event in reversed(protecting.telemetry.events) if event.kind is EventKind.GRANTED)
    assert event.purpose_of_use == EMERGENCY
    tokens = (await app.exchange(page.parameters["code"])).json()
    refreshed = (await app.refresh(tokens["refresh_token"])).json()
    assert await sees(app, refreshed["access_token"], labelled)
    asking = protecting.app("https://symmetric.example", secret=SECRET)
    told = (await asking.post("/introspect", {"token": refreshed["access_token"]})).json()
    assert told["purpose_of_use"] == EMERGENCY
    granted = await person.open(f"{protecting.issuer}/manage")
    assert "Protected records for Emergency treatment" in granted.text


async def test_roles_are_told_to_who_may_introspect(protecting: RunningServer) -> None:
    _, token = await agree(protecting, "", user="officer")
    asking = protecting.app("https://symmetric.example", secret=SECRET)
    told = (await asking.post("/introspect", {"token": token})).json()
    assert told["roles"] == ["privacy officer"]
    assert "purpose_of_use" not in told


async def test_the_question_is_german_where_the_browser_is(protecting: RunningServer) -> None:
    _, page = await protecting.open_consent_page(protecting.app(), SCOPE, ui_locales="de", prompt="consent")
    assert "Brauchen Sie besonders geschützte Einträge?" in page.text
    assert "Notfallbehandlung" in page.text


async def _remember(server: RunningServer, person: Person, purpose: str) -> Page:
    _, page = await server.open_consent_page(server.app(), SCOPE, person=person, prompt="consent")
    return await person.agree(page, purpose=purpose, remember="yes")


async def test_a_purpose_is_not_remembered_but_its_absence_is(protecting: RunningServer, labelled: str) -> None:
    person = protecting.person()
    await _remember(protecting, person, EMERGENCY)
    _, page = await protecting.open_consent_page(protecting.app(), SCOPE, person=person)
    assert QUESTION in page.text, "asked again"
    await _remember(protecting, person, "")
    app = protecting.app()
    _, page = await protecting.open_consent_page(app, SCOPE, person=person)
    token = (await app.exchange(page.parameters["code"])).json()["access_token"]
    assert not await sees(app, token, labelled)


async def test_what_was_chosen_is_kept_when_the_page_is_shown_again(protecting: RunningServer) -> None:
    person, page = await protecting.open_consent_page(protecting.app(), SCOPE, prompt="consent")
    use = next(name for name in page.form("/consent").choices if name.startswith("use-"))
    page = await person.agree(page, purpose=EMERGENCY, **{use: "some"})
    assert "ticked nothing" in page.text
    assert page.form("/consent").value("purpose") == EMERGENCY


async def test_other_roles_end_what_the_user_granted(protecting: RunningServer, labelled: str) -> None:
    user = {"username": "officer-2", "name": "Otto", "password_hash": PASSWORD_HASH,
            "fhir_user": "Practitioner/practitioner-2", "roles": ["privacy officer"]}  # fmt: skip
    assert (await admin_request(protecting, "POST", "/users", user)).status_code == 201
    app, token = await agree(protecting, "", user="officer-2")
    assert await sees(app, token, labelled)
    listed = (await admin_request(protecting, "GET", "/users")).json()["users"]
    assert {each["user"]: each["roles"] for each in listed}["officer-2"] == ["privacy officer"]
    changed = await admin_request(protecting, "POST", "/users?replace=true", {**user, "roles": []})
    assert changed.status_code == 201
    assert (await app.read(f"/Observation/{labelled}", token)).status_code == 401


@pytest.mark.parametrize(
    "offered",
    [[], [{"code": EMERGENCY, "roles": ["privacy officer"]}], [{"code": EMERGENCY, "user_types": ["Patient"]}]],
    ids=["to nobody", "to users with another role", "to other users"],
)
async def test_a_purpose_that_is_no_longer_offered_counts_no_longer(
    fhir_server: str, labelled: str, offered: list[dict[str, Any]]
) -> None:
    with valkey.standalone() as store:

        def keep(settings: dict[str, Any]) -> None:
            _protect(settings)
            settings["smart_server"]["store"] = store.url

        def withdraw(settings: dict[str, Any]) -> None:
            keep(settings)
            settings["smart_server"]["purposes_of_use"] = offered

        port = free_port()
        async with run_smart_server(fhir_server, change=keep, port=port) as server:
            app, token = await agree(server, EMERGENCY)
            assert await sees(app, token, labelled)
        async with run_smart_server(fhir_server, change=withdraw, port=port) as server:
            app = server.app()
            assert (await app.read("/Observation?_count=1", token)).status_code == 200
            assert not await sees(app, token, labelled)
            asking = server.app("https://symmetric.example", secret=SECRET)
            told = (await asking.post("/introspect", {"token": token})).json()
            assert (told["active"], "purpose_of_use" in told) == (True, False)


async def test_without_purposes_the_page_does_not_ask(server: RunningServer) -> None:
    _, page = await server.open_consent_page(server.app(), SCOPE)
    assert QUESTION not in page.text
