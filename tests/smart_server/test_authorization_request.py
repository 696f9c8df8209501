"""The authorization request: errors on a page where no redirect is safe, and requests by POST."""

from urllib.parse import urlencode

import httpx2
import pytest

from tests.smart_server.authorize_requests import (
    SCOPE,
    assert_accepted,
    assert_refused_on_a_page,
    error_parameters,
    get_authorize,
    post_authorize,
)
from tests.smart_server.running_server import CALLBACK, RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest.mark.requirement("A-3", "edge-11")
@pytest.mark.parametrize("client_id", ["nobody", "public-app ", "PUBLIC-APP", "public-app\n", "backend/../public-app"])
async def test_an_unknown_client_is_never_redirected(server: RunningServer, client_id: str) -> None:
    assert_refused_on_a_page(await get_authorize(server, server.app(), client_id=client_id), "client_unknown")


@pytest.mark.requirement("A-3")
@pytest.mark.parametrize("client_id", [None, ""], ids=["absent", "empty"])
async def test_a_request_without_a_client_is_never_redirected(server: RunningServer, client_id: str | None) -> None:
    assert_refused_on_a_page(await get_authorize(server, server.app(), client_id=client_id), "client_missing")


@pytest.mark.requirement("A-4", "edge-10")
@pytest.mark.parametrize("redirect_uri", [None, ""], ids=["absent", "empty"])
async def test_the_redirect_uri_is_needed_although_one_is_registered(
    server: RunningServer, redirect_uri: str | None
) -> None:
    assert_refused_on_a_page(
        await get_authorize(server, server.app(), redirect_uri=redirect_uri), "redirect_uri_missing"
    )


@pytest.mark.requirement("A-4", "edge-9")
@pytest.mark.parametrize("redirect_uri", [f"{CALLBACK}/", f"{CALLBACK}?tenant=8", "https://app.example/Callback"])
async def test_a_redirect_uri_that_differs_is_never_redirected_to(server: RunningServer, redirect_uri: str) -> None:
    assert_refused_on_a_page(
        await get_authorize(server, server.app(), redirect_uri=redirect_uri), "redirect_uri_not_registered"
    )


@pytest.mark.requirement("A-18")
@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_a_repeated_client_or_redirect_uri_is_never_redirected(server: RunningServer, name: str) -> None:
    app = server.app()
    repetition = urlencode({name: app.authorization_parameters(SCOPE)[name]})
    assert_refused_on_a_page(
        await server.http.get(f"{app.authorization_url(SCOPE)}&{repetition}"), "parameter_repeated"
    )


@pytest.mark.requirement("A-3", "A-18")
@pytest.mark.parametrize(
    "query",
    ["", "%ff", "client_id=%c3%28", "a=1&" * 300, "client_id=public-app&" + "x" * 60_000],
    ids=["no parameters", "a byte that is no UTF-8", "broken UTF-8 in a value", "too many parameters", "a long name"],
)
async def test_a_query_that_cannot_be_read_ends_on_a_page(server: RunningServer, query: str) -> None:
    response = await server.http.get(f"{server.issuer}/authorize?{query}")
    assert response.status_code == 400
    assert "location" not in response.headers


@pytest.mark.requirement("A-1")
@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data", "text/plain", ""])
async def test_only_a_form_is_read_from_a_post(server: RunningServer, media_type: str) -> None:
    response = await server.http.post(
        f"{server.issuer}/authorize",
        content=urlencode(server.app().authorization_parameters(SCOPE)),
        headers={"content-type": media_type},
    )
    assert_refused_on_a_page(response, "form_malformed")


@pytest.mark.requirement("A-1")
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_no_other_method_is_answered(server: RunningServer, method: str) -> None:
    response = await server.http.request(method, server.app().authorization_url(SCOPE))
    assert response.status_code == 405


@pytest.mark.requirement("A-1", "edge-7", "edge-8", "C-2")
async def test_a_request_by_post_without_any_cookie_leads_to_a_code(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    page = await person.open(f"{server.issuer}/authorize", data=list(app.authorization_parameters(SCOPE).items()))
    page = await person.sign_in(page)
    page = await person.agree(await person.choose_patient(page, "pat-a"))
    assert page.parameters["state"] == app.state
    answer = await app.exchange(page.parameters["code"])
    assert answer.json()["patient"] == "pat-a"


@pytest.mark.requirement("edge-8", "A-17")
async def test_a_request_from_another_site_finds_the_session_on_its_way_on(server: RunningServer) -> None:
    """A browser withholds lax cookies from a cross-site POST, and sends them to the redirect's GET."""
    app, person = server.app(), server.person()
    await server.open_consent_page(app, SCOPE, person=person)
    kept = person.client.cookies
    person.client.cookies = httpx2.Cookies()
    first = await person.client.post(
        f"{server.issuer}/authorize",
        data=app.authorization_parameters(SCOPE),
        headers={"origin": "https://app.example"},
    )
    kept.update(person.client.cookies)
    person.client.cookies = kept
    page = await person.open(first.headers["location"])
    assert any(form.action.endswith("/patient") for form in page.forms), "nobody has to sign in again"


@pytest.mark.requirement("edge-7", "A-18")
async def test_query_and_body_together_count_as_one_request(server: RunningServer) -> None:
    app = server.app()
    parameters = app.authorization_parameters(SCOPE)
    state = parameters.pop("state")
    assert_accepted(server, await post_authorize(server, urlencode(parameters), f"?{urlencode({'state': state})}"))
    body = urlencode({**parameters, "state": state})
    answer = error_parameters(await post_authorize(server, body, f"?{urlencode({'state': state})}"))
    assert answer["error"] == "invalid_request"


LONG = " ".join(
    f"patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|made-up-{index}"
    for index in range(200)
)


@pytest.mark.requirement("A-22", "edge-24", "SC-35")
async def test_two_hundred_long_scopes_travel_by_post_and_are_agreed_to(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    assert len(LONG) > 20_000
    page = await person.open(f"{server.issuer}/authorize", data=list(app.authorization_parameters(LONG).items()))
    page = await person.choose_patient(await person.sign_in(page), "pat-a")
    page = await person.agree(page)
    assert "scope" not in page.parameters
    answer = (await app.exchange(page.parameters["code"])).json()
    assert set(answer["scope"].split()) == {"launch/patient", *LONG.split()}


@pytest.mark.requirement("A-22")
async def test_more_scopes_than_a_person_can_read_are_refused(server: RunningServer) -> None:
    scope = " ".join(f"patient/Observation.rs?code=x|{index}" for index in range(301))
    response = await post_authorize(server, urlencode(server.app().authorization_parameters(scope)))
    assert error_parameters(response)["error"] == "invalid_scope"
