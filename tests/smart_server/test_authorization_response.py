"""The response to the app: code, state, issuer, and redirect URI."""

from urllib.parse import quote

import pytest

from tests.smart_server.authorize_requests import (
    SCOPE,
    error_parameters,
    get_authorize,
)
from tests.smart_server.running_server import CALLBACK, RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

STATES = {
    "reserved characters": "a+b&c=é",
    "percent signs": "%2B%26",
    "spaces at both ends": " state ",
    "a line break": "a\r\nSet-Cookie: x=1",
    "a null byte": "a\x00b",
    "markup": "<script>alert(1)</script>",
    "SQL": "'; DROP TABLE codes; --",
    "a plane beyond": "𝄞",
    "4096 characters": "x" * 4096,
    "a word that means nothing here": "None",
}


@pytest.mark.requirement("A-7", "A-12", "edge-17")
@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
async def test_the_state_comes_back_as_it_went(server: RunningServer, state: str) -> None:
    refused = await get_authorize(server, server.app(), state=state, response_type="token")
    assert error_parameters(refused)["state"] == state
    app = server.app(state=state)
    await server.request_code(app, "openid")


@pytest.mark.requirement("edge-17")
@pytest.mark.parametrize("spelt", ["a%2Bb%26c%3D%C3%A9", "a%2bb%26c%3d%c3%a9"])
async def test_the_state_is_byte_exact_however_it_was_escaped(server: RunningServer, spelt: str) -> None:
    app = server.app()
    url = app.authorization_url(SCOPE, state=None, response_type="token")
    response = await server.http.get(f"{url}&state={spelt}")
    assert f"state={quote('a+b&c=é', safe='')}" in response.headers["location"]


@pytest.mark.requirement("A-19", "edge-21")
async def test_a_redirect_uri_with_a_query_keeps_it(server: RunningServer) -> None:
    app = server.app(redirect_uri=f"{CALLBACK}?tenant=7")
    person, page = await server.open_consent_page(app, SCOPE)
    page = await person.agree(page)
    assert page.left_for is not None
    assert page.left_for.startswith(f"{CALLBACK}?tenant=7&code=")
    assert {"tenant", "code", "state", "iss"} == set(page.parameters)
    refused = await get_authorize(server, app, response_type="token")
    assert refused.headers["location"].startswith(f"{CALLBACK}?tenant=7&error=unsupported_response_type&")


@pytest.mark.requirement("A-11", "A-12", "A-20", "edge-22", "SC-35")
async def test_the_answer_is_a_code_the_state_and_the_issuer_by_303(server: RunningServer) -> None:
    app = server.app()
    person, page = await server.open_consent_page(app, SCOPE)
    page = await person.agree(page)
    assert page.status == 303
    assert set(page.parameters) == {"code", "state", "iss"}
    assert page.parameters["iss"] == server.issuer
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    code = page.parameters["code"]
    assert len(code) >= 43
    assert quote(code, safe="-._~") == code, "apps send it as it is (clients-and-suites.md 5.1)"


@pytest.mark.requirement("A-14", "T-2", "T-5")
@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": f"{CALLBACK}?tenant=7"},
        {"redirect_uri": None},
        {"code_verifier": "x" * 43},
        {"code_verifier": None},
        {"client_id": "other-app"},
    ],
    ids=["another redirect URI", "no redirect URI", "another verifier", "no verifier", "another client"],
)
async def test_a_code_is_bound_to_its_request(server: RunningServer, changes: dict[str, str | None]) -> None:
    app = server.app()
    response = await app.exchange(await server.request_code(app, "openid"), **changes)
    assert response.status_code == 400
    assert response.json()["error"] in {"invalid_grant", "invalid_request"}


@pytest.mark.requirement("A-13")
async def test_a_code_lasts_a_minute(server: RunningServer) -> None:
    told_of = server.gateway._settings.smart_server
    assert told_of is not None
    assert told_of.lifetimes.code_seconds == 60


@pytest.mark.requirement("A-15", "A-11")
async def test_a_denial_is_told_to_the_app(server: RunningServer) -> None:
    app = server.app()
    person, page = await server.open_consent_page(app, SCOPE)
    page = await person.submit(page, "/consent", decision="deny")
    assert page.parameters["error"] == "access_denied"
    assert page.parameters["state"] == app.state


@pytest.mark.requirement("A-20", "edge-22")
@pytest.mark.parametrize("path", ["/authorize/", "/token/", "/apps/", "/manage/", "/sign-in/", "/launch/"])
async def test_no_address_redirects_to_add_or_drop_a_slash(server: RunningServer, path: str) -> None:
    for method in ("GET", "POST"):
        response = await server.http.request(method, f"{server.issuer}{path}")
        assert not response.is_redirect
        assert response.status_code in {404, 405, 400}
