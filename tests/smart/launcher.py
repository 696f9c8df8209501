"""An EHR at its launch button: it asks for launches by HTTP Basic, and opens what it is told to open."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.smart.house import LAUNCHER_SECRET, House
from tests.smart.person import Person


async def ask_launch(house: House, launcher: str = "ehr", **body: Any) -> httpx2.Response:
    """`POST /launch` of the public app, unless `body` says otherwise."""
    whole = {"client_id": "public-app", **body}
    return await house.http.post(f"{house.issuer}/launch", json=whole, auth=(launcher, LAUNCHER_SECRET))


async def launch(house: House, launcher: str = "ehr", **body: Any) -> str:
    """The handle of a launch that is made."""
    response = await ask_launch(house, launcher, **body)
    assert response.status_code == 201, response.text
    return str(response.json()["launch"])


async def vouched_launch(house: House, person: Person, **body: Any) -> str:
    """The handle that the app is told in the browser of a user whom the launcher vouches for."""
    response = await ask_launch(house, "trusted-ehr", **body)
    assert response.status_code == 201, response.text
    page = await person.go(response.json()["location"])
    assert page.left_for is not None, page.text
    return handle_in(page.left_for)


def handle_in(location: str) -> str:
    """The handle in an address that an app is opened at."""
    (handle,) = parse_qs(urlsplit(location).query)["launch"]
    return handle
