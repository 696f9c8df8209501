"""No page is a dead end: errors lead back, what was answered says so, and every address says where one is."""

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from gateway.asgi.refusal import RequestRefused
from gateway.policy.reasons import Reason
from gateway.smart_server.authorize.authorization_flow import AuthorizationFlow
from gateway.smart_server.patients.patient_directory import PatientDirectory
from gateway.telemetry.server_event import EventKind
from tests.smart_server.person_in_browser import Page
from tests.smart_server.portal_user import sign_in_to_portal
from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid patient/Observation.rs"
HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def links(page: Page) -> list[str]:
    """The addresses that the page links to."""
    return re.findall(r'<a [^>]*href="([^"]+)"', page.html)


class TestAnswered:
    @pytest.mark.parametrize("decision", ["allow", "deny"])
    async def test_the_back_button_after_an_answer_says_what_came_of_it(
        self, server: RunningServer, decision: str
    ) -> None:
        person, page = await server.open_consent_page(server.app(), SCOPE)
        form = page.form("/consent")
        request_url = form.action.removesuffix("/consent")
        fields = [*form.fields, ("decision", decision), *((name, "all") for name in form.choices if name[:4] == "use-")]
        answer = await person.open(form.action, data=fields)
        seen = len(server.telemetry.events)
        title = "The app has been connected" if decision == "allow" else "The app got no access"
        for url in (request_url, form.action, f"{request_url}/login", f"{request_url}/patient?name=x"):
            back = await person.open(url)
            assert (back.status, back.left_for) == (200, None)
            assert back.title.startswith(title)
            assert "Growth Chart" in back.text
            assert links(back) == ["https://app.example/", f"{server.issuer}/"]
            assert answer.parameters.get("code", "no code") not in back.html
        assert len(server.telemetry.events) == seen, "a look is no refusal"
        again = await person.open(form.action, data=fields)
        assert (again.status, again.left_for) == (400, None)
        assert again.title.startswith(title)
        event = server.telemetry.events[-1]
        assert (event.kind, event.reason, event.client_id) == (
            EventKind.AUTHORIZATION_REFUSED,
            "request_over",
            "public-app",
        )

    async def test_another_browser_learns_nothing_of_it(self, server: RunningServer) -> None:
        person, page = await server.open_consent_page(server.app(), SCOPE)
        url = page.form("/consent").action.removesuffix("/consent")
        await person.agree(page)
        for stranger in (server.person(), await sign_in_to_portal(server)):
            foreign = await stranger.open(url)
            assert foreign.status == 400
            assert "Growth Chart" not in foreign.text
            assert links(foreign) == [f"{server.issuer}/"]

    async def test_an_error_that_the_app_was_told_is_said_as_one(self, server: RunningServer) -> None:
        person = server.person()
        page = await person.open(server.app().authorization_url("launch/patient user/Nothing.rs"))
        url = page.form("/login").action.removesuffix("/login")
        assert (await person.sign_in(page)).parameters["error"] == "invalid_scope"
        assert (await person.open(url)).title.startswith("This request is over")

    async def test_the_sign_in_page_says_who_has_signed_in(self, server: RunningServer) -> None:
        person = await sign_in_to_portal(server)
        page = await person.open(f"{server.issuer}/sign-in?to=manage")
        assert page.title.startswith("Sign in")
        assert "You are signed in" in page.text
        assert "Dr Dora Demo" in page.text
        assert links(page) == [f"{server.issuer}/manage"]
        assert (await person.sign_in(page, "nurse")).text.count("Nina Nurse") == 1

    async def test_a_sign_out_that_is_sent_again_says_that_one_is_signed_out(self, server: RunningServer) -> None:
        person = await sign_in_to_portal(server)
        page = await person.open(f"{server.issuer}/apps")
        assert (await person.submit(page, "/sign-out")).title.startswith("Signed out")
        again = await person.submit(page, "/sign-out")
        assert again.title.startswith("You are signed out")
        assert links(again) == [f"{server.issuer}/sign-in?to=apps", f"{server.issuer}/"]


PLACES: dict[str, Callable[[RunningServer], str]] = {
    "an app that nobody registered": lambda server: f"{server.issuer}/authorize?client_id=nobody",
    "a wrong redirect URI": lambda server: server.app(redirect_uri="https://x.example/").authorization_url(SCOPE),
    "a request of nobody": lambda server: f"{server.issuer}/authorize/x",
    "a launch that is over": lambda server: f"{server.issuer}/launch/x",
    "a login of nobody": lambda server: f"{server.issuer}/signed-in?state=x",
    "an unknown provider": lambda server: f"{server.issuer}/sign-in/provider/7",
}


@pytest.mark.parametrize("url", PLACES.values(), ids=PLACES)
async def test_every_error_page_leads_to_the_start_page_and_says_what_to_do(
    server: RunningServer, url: Callable[[RunningServer], str]
) -> None:
    page = await (await sign_in_to_portal(server)).open(url(server))
    assert page.status == 400
    assert links(page)[-1] == f"{server.issuer}/"
    assert re.search(r"(?i)please|go back", page.text)


@pytest.mark.parametrize("form", ["/patient", "/login"])
async def test_a_form_that_is_not_ours_leads_back_to_its_request(server: RunningServer, form: str) -> None:
    person = server.person()
    page = await person.open(server.app().authorization_url(SCOPE))
    url = page.form("/login").action.removesuffix("/login")
    refused = await person.open(f"{url}{form}", data=[("csrf", "x")])
    assert refused.status == 400
    assert links(refused) == [url, f"{server.issuer}/"]
    assert (await person.open(links(refused)[0])).form("/login").action == f"{url}/login"


async def test_a_fault_is_a_page_too(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(AuthorizationFlow, "load_transaction", fail)
    page = await server.person().open(f"{server.issuer}/authorize/x")
    assert (page.status, "internal_error" in page.text, "a fault" in page.text) == (500, True, False)
    assert links(page) == [f"{server.issuer}/"]
    assert server.telemetry.events[-1].reason == "internal_error"


class TestRejectedSearch:
    @pytest.mark.parametrize("place", ["the picker", "the gallery"])
    async def test_it_is_an_error_that_says_so_and_no_empty_list(
        self, server: RunningServer, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        async def reject(*_: Any) -> None:
            raise RequestRefused(Reason.UPSTREAM_REJECTED)

        app, person = server.app(), server.person()
        url = app.authorization_url(SCOPE) if place == "the picker" else f"{server.issuer}/apps"
        page = await person.open(url)
        with monkeypatch.context() as during:
            during.setattr(PatientDirectory, "search_patients", reject)
            page = await person.sign_in(page)
        assert (page.status, "upstream_rejected" in page.text) == (502, True)
        assert "No patient found" not in page.text
        page = await person.open(links(page)[0])
        assert page.status == 200
        assert "pat-a" in page.html, "the request goes on"


async def ask(server: RunningServer, method: str, path: str, headers: dict[str, str]) -> httpx2.Response:
    return await server.http.request(method, server.root + path, headers=headers)


@pytest.mark.parametrize("path", ["/", "/auth", "/auth/"])
async def test_the_start_page_says_where_one_is(server: RunningServer, path: str) -> None:
    response = await ask(server, "GET", path, HTML)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f'href="{server.issuer}/apps"' in response.text
    assert f'href="{server.issuer}/manage"' in response.text
    program = await ask(server, "GET", path, {"accept": "*/*"})
    assert program.status_code == 404
    assert program.headers["content-type"].startswith("application/")


UNKNOWN = {
    "beside everything": ("GET", "/favicon.ico", 404, "application/fhir+json;charset=utf-8"),
    "beside everything, with a slash": ("GET", "/readyz/", 404, "application/fhir+json;charset=utf-8"),
    "below the issuer": ("GET", "/auth/nothing", 404, "application/json"),
    "for programs alone": ("GET", "/auth/token", 405, "application/json"),
    "for another method": ("DELETE", "/auth/apps", 405, "application/json"),
}


@pytest.mark.parametrize(("method", "path", "status", "media_type"), UNKNOWN.values(), ids=UNKNOWN)
async def test_an_address_with_nothing_is_a_page_for_browsers_and_json_for_programs(
    server: RunningServer, method: str, path: str, status: int, media_type: str
) -> None:
    page = await ask(server, method, path, HTML)
    assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert "There is no such page" in page.text
    assert f'href="{server.issuer}/"' in page.text
    answer = await ask(server, method, path, {"accept": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (status, media_type)
    assert answer.headers["x-content-type-options"] == "nosniff"
    if media_type == "application/json":
        assert answer.json()["error"] == "invalid_request"
    else:
        assert server.base in answer.json()["issue"][0]["details"]["text"]
    assert ("allow" in answer.headers) is (status == 405)
