"""No hostile redirect URI is ever redirected to, however alike it looks; nor registered, if it is no plain address."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.oauth.test_redirect_uri import FLAWS, HOSTILE, REGISTERED
from tests.smart.house import ADMIN_TOKEN, CALLBACK, House, smart_house

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(fhir_server: str) -> AsyncIterator[House]:
    """A SMART server with one client that has a redirect URI of each kind."""

    def change(settings: dict[str, Any]) -> None:
        client = {"client_id": "every-way", "name": "Every Way", "redirect_uris": list(REGISTERED)}
        settings["smart_server"]["clients"].append(client)

    async with smart_house(fhir_server, change=change) as running:
        yield running


@pytest.mark.requirement("A-4", "R-2", "edge-9")
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_hostile_redirect_uri_is_ever_redirected_to(house: House, method: str) -> None:
    app = house.app("every-way")
    redirected = []
    for uri in HOSTILE:
        if method == "GET":
            answer = await house.http.get(app.authorization_url("openid", redirect_uri=uri))
        else:
            parameters = app.authorization_parameters("openid", redirect_uri=uri)
            answer = await house.http.post(f"{house.issuer}/authorize", data=parameters)
        as_it_must = (
            answer.status_code == 400
            and "location" not in answer.headers
            and "refresh" not in answer.headers
            and "redirect_uri_not_registered" in answer.text
            and "evil.example" not in answer.text
        )
        if not as_it_must:
            redirected.append((uri, answer.status_code))
    assert redirected == []


@pytest.mark.requirement("A-4")
async def test_an_error_of_the_app_is_no_reason_to_redirect_either(house: House) -> None:
    """The redirect URI is looked at before all else, whatever else is wrong."""
    app = house.app("every-way")
    for changes in ({"response_type": "token"}, {"scope": ""}, {"aud": "https://evil.example"}, {"prompt": "none"}):
        parameters = app.authorization_parameters("openid", redirect_uri=HOSTILE[0]) | changes
        answer = await house.http.post(f"{house.issuer}/authorize", data=parameters)
        assert (answer.status_code, "location" in answer.headers) == (400, False)


@pytest.mark.requirement("A-4", "A-19")
@pytest.mark.parametrize("uri", REGISTERED)
async def test_each_registered_uri_is_redirected_to_as_it_stands(house: House, uri: str) -> None:
    app = house.app("every-way")
    answer = await house.http.get(app.authorization_url("openid", redirect_uri=uri, response_type="token"))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(uri + ("&error=" if "?" in uri else "?error="))


@pytest.mark.requirement("R-2", "A-19")
@pytest.mark.parametrize("uri", [uri for uri, _ in FLAWS.values()], ids=FLAWS)
async def test_what_is_no_fixed_address_cannot_be_registered(house: House, uri: str) -> None:
    entry = {"client_id": "newcomer", "name": "Newcomer", "redirect_uris": [uri]}
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    answer = await house.http.post(f"{house.issuer}/admin/clients", json=entry, headers=headers)
    assert answer.status_code == 400
    assert (await house.http.get(f"{house.issuer}/admin/clients/newcomer", headers=headers)).status_code == 404


@pytest.mark.requirement("R-2", "E-1", "G-1")
@pytest.mark.parametrize(
    "uri",
    ["http://app.example/launch", "https://app_1.example/launch", "https://app.example./launch", f"{CALLBACK}/../x",
     "com.example.app:/launch", "https://app.example/launch?iss=https://evil.example"],
)  # fmt: skip
async def test_a_launch_uri_is_as_fixed_as_a_redirect_uri(house: House, uri: str) -> None:
    entry = {"client_id": "newcomer", "name": "Newcomer", "redirect_uris": [CALLBACK], "launch_uris": [uri]}
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    answer = await house.http.post(f"{house.issuer}/admin/clients", json=entry, headers=headers)
    assert answer.status_code == 400
    assert "launch_uris" in answer.text
