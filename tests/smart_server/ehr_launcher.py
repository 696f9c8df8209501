"""A client of the launch API, and the browser of its user."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.smart_server.person_in_browser import Person
from tests.smart_server.running_server import LAUNCHER_SECRET, RunningServer

SCOPE = "launch patient/Observation.rs"


async def post_launch(server: RunningServer, launcher: str = "ehr", **body: Any) -> httpx2.Response:
    """`POST /launch`, for the public app by default."""
    members = {"client_id": "public-app", **body}
    return await server.http.post(f"{server.issuer}/launch", json=members, auth=(launcher, LAUNCHER_SECRET))


async def create_launch(server: RunningServer, launcher: str = "ehr", **body: Any) -> str:
    """The handle of a new launch."""
    response = await post_launch(server, launcher, **body)
    assert response.status_code == 201, response.text
    return str(response.json()["launch"])


async def create_vouched_launch(server: RunningServer, person: Person, **body: Any) -> str:
    """The handle of a launch with a vouched user, after this person's browser was redirected to the app."""
    response = await post_launch(server, "trusted-ehr", **body)
    assert response.status_code == 201, response.text
    page = await person.open(response.json()["location"])
    assert page.left_for is not None, page.text
    return launch_handle(page.left_for)


def launch_handle(location: str) -> str:
    """The handle in a launch URL."""
    (handle,) = parse_qs(urlsplit(location).query)["launch"]
    return handle


async def launch_error(
    server: RunningServer, handle: str, *, client_id: str = "public-app", user: str = "doctor"
) -> str:
    """The error of an authorization request with this handle, before or after the login."""
    app, person = server.app(client_id), server.person()
    page = await person.open(app.authorization_url(SCOPE, launch=handle))
    if page.left_for is None:
        page = await person.sign_in(page, user)
    assert page.parameters["state"] == app.state
    return page.parameters["error"]
