"""Raw requests to the authorization endpoint, and checks of the response."""

from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from tests.smart_server.running_server import CALLBACK, RunningServer
from tests.smart_server.smart_app import App

SCOPE = "launch/patient patient/Observation.rs"
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def get_authorize(server: RunningServer, app: App, **changes: str | None) -> httpx2.Response:
    """The response to a GET, without following redirects. A parameter changed to None is omitted."""
    parameters = {**app.authorization_parameters(SCOPE), **changes}
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return await server.http.get(f"{server.issuer}/authorize?{query}")


async def post_authorize(server: RunningServer, content: str, query: str = "") -> httpx2.Response:
    """The response to a POST, without following redirects."""
    return await server.http.post(f"{server.issuer}/authorize{query}", content=content, headers=FORM)


def error_parameters(response: httpx2.Response) -> dict[str, str]:
    """The parameters of an error redirect, which must go to the redirect URI."""
    assert response.status_code == 303, (response.status_code, response.text[:300])
    location = response.headers["location"]
    assert location.startswith(f"{CALLBACK}?"), location
    pairs = parse_qsl(urlsplit(location).query, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs), "no parameter comes twice"
    assert "code" not in dict(pairs)
    return dict(pairs)


def assert_refused_on_a_page(response: httpx2.Response, reason: str) -> None:
    """Check for an error page without a redirect."""
    assert response.status_code == 400
    assert "location" not in response.headers
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert reason in response.text


def assert_accepted(server: RunningServer, response: httpx2.Response) -> None:
    """Check that the request was accepted and leads to its first step."""
    assert response.status_code == 303
    assert response.headers["location"].startswith(f"{server.issuer}/authorize/"), response.headers["location"]
