"""Pages in the language of the person who reads them, through a whole request of an app."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.smart_server.person_in_browser import Person
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid offline_access patient/Observation.rs?category=laboratory&date=ge2024-01-01 user/*.cruds"


def german_person(server: RunningServer, accept_language: str = "fr, de-AT;q=0.9, en;q=0.8") -> Person:
    person = server.person()
    person.client.headers.update({"accept-language": accept_language, "accept": "text/html"})
    return person


async def test_a_whole_request_is_in_german_with_its_scopes_dates_and_problems(server: RunningServer) -> None:
    person, app = german_person(server), server.app()
    page = await person.open(app.authorization_url(SCOPE))
    assert (page.headers["content-language"], page.headers["vary"]) == ("de", "Accept-Language")
    assert '<html lang="de" dir="ltr">' in page.html
    assert "Anmelden, um mit" in page.text
    page = await person.sign_in(page, "doctor", "wrong")
    assert "Der Benutzername oder das Passwort stimmt nicht." in page.text
    page = await person.sign_in(page, "doctor")
    assert "Wessen Akte soll" in page.text
    assert "geboren" in page.text
    page = await person.choose_patient(page, "pat-a")
    if any(form.action.endswith("/encounter") for form in page.forms):
        page = await person.submit(page, "/encounter", encounter="", decision="choose")
    assert "Laborwerte aus der Patientenakte (ab 1. Januar 2024) lesen und suchen." in page.text
    assert "auch künftig hinzukommende, hinzufügen, lesen, ändern, löschen und suchen, soweit Sie selbst" in page.text
    assert "Auswahl erlauben" in page.text
    page = await person.agree(page)
    assert "code" in page.parameters, "the form of a German page counts as that of an English one"


async def test_an_app_may_ask_for_the_language_that_its_user_has_chosen_in_it(server: RunningServer) -> None:
    person, app = server.person(), server.app()
    page = await person.open(app.authorization_url(SCOPE, ui_locales="fr de"))
    assert page.headers["content-language"] == "de"
    page = await person.sign_in(page, "doctor")
    assert (page.headers["content-language"], page.title.partition(" · ")[0]) == (
        "de",
        "Patientin oder Patienten auswählen",
    )


async def test_a_page_that_changed_its_language_meanwhile_is_only_shown_again(server: RunningServer) -> None:
    person, page = await server.open_consent_page(server.app(), SCOPE)
    person.client.headers["accept-language"] = "de"
    page = await person.agree(page)
    assert "Was der App erlaubt werden kann, hat sich geändert." in page.text
    assert "code" in (await person.agree(page)).parameters


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param(
            "/authorize", "Die Anfrage der App sagt nicht, von welcher App sie kommt", id="of the app's request"
        ),
        pytest.param("/authorize/unknown", "Diese Anfrage ist beendet", id="of a request that is over"),
        pytest.param("/launch/unknown", "Dieser Start ist abgelaufen", id="of a launch that is over"),
        pytest.param("/no-such-page", "Unter dieser Adresse gibt es keine Seite.", id="of an address without a page"),
    ],
)
async def test_an_error_page_is_in_german(server: RunningServer, path: str, text: str) -> None:
    page = await german_person(server).open(server.issuer + path)
    assert page.status >= 400
    assert text in page.text
    assert "Startseite" in page.text


async def test_the_portal_is_in_german(server: RunningServer) -> None:
    person = german_person(server)
    page = await person.open(f"{server.issuer}/")
    assert "Hier entscheiden Sie" in page.text
    page = await person.sign_in(await person.open(f"{server.issuer}/apps"), "doctor")
    assert "Apps mit Zugriff" in page.text
    page = await person.open(f"{server.issuer}/manage")
    assert "Apps mit Zugriff auf Ihre Gesundheitsdaten" in page.text


async def test_two_people_at_once_each_have_their_own_language(server: RunningServer) -> None:
    headers = ("de", "en", "de", "en")
    people = [german_person(server, header) for header in headers]
    pages = [await person.open(f"{server.issuer}/sign-in") for person in people]
    assert [page.headers["content-language"] for page in pages] == list(headers)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def only_german(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A server that offers German alone."""

    def change(settings: dict[str, Any]) -> None:
        settings["smart_server"]["languages"] = {"offered": ["de"], "default": "de"}

    async with run_smart_server(fhir_server, change=change) as running:
        yield running


async def test_the_operator_decides_which_languages_there_are(only_german: RunningServer) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        response = await client.get(f"{only_german.issuer}/sign-in", headers={"accept-language": "en"})
    assert response.headers["content-language"] == "de"
