"""An app that is added under the name of one that was disabled: it is another app, and inherits nothing."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.smart.admin import administer, register
from tests.smart.app import App
from tests.smart.house import House
from tests.smart.person import Person

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "openid offline_access patient/Patient.rs"
NEW_CALLBACK = "https://new.example/callback"


@dataclass
class Granted:
    """What somebody granted to the first app of a name, and remembered; `code` waits for its exchange."""

    app: App
    person: Person
    tokens: dict[str, Any]
    code: str


async def granted(house: House, client_id: str) -> Granted:
    """Agree to an app that is added under that name."""
    await register(house, client_id)
    app = house.app(client_id)
    person, page = await house.consent_page(app, SCOPE)
    page = await person.agree(page, remember="yes")
    tokens = (await app.exchange(page.parameters["code"])).json()
    return Granted(app, person, tokens, await house.code(app, "openid patient/Patient.rs", person=person))


async def works(granted: Granted) -> list[int]:
    """How a read, an exchange and a refresh are answered."""
    read = await granted.app.read("/Patient/pat-a", granted.tokens["access_token"])
    exchange = await granted.app.exchange(granted.code)
    refresh = await granted.app.refresh(granted.tokens["refresh_token"])
    return [one.status_code for one in (read, exchange, refresh)]


@pytest.mark.requirement("R-3", "edge-26")
async def test_another_app_of_the_name_inherits_neither_consent_nor_grants(house: House) -> None:
    before = await granted(house, "heir")
    await administer(house, "DELETE", "/clients/heir")
    await register(house, "heir", name="Quite another app", redirect_uris=[NEW_CALLBACK])
    assert await works(before) == [401, 400, 400]
    told = await house.app("https://symmetric.example").post("/introspect", {"token": before.tokens["access_token"]})
    assert told.json() == {"active": False}
    app = house.app("heir", redirect_uri=NEW_CALLBACK)
    _, page = await house.consent_page(app, "openid patient/Patient.rs", person=before.person)
    assert page.left_for is None, "nobody agreed to anything of this app"
    page = await before.person.agree(page, remember="yes")
    assert (await app.exchange(page.parameters["code"])).status_code == 200
    _, page = await house.consent_page(app, "openid patient/Patient.rs", person=before.person)
    assert "code" in page.parameters, "what was agreed to of this app is remembered"
    manage = await before.person.go(f"{house.issuer}/manage")
    assert "Yes, end access of heir" in manage.text, "the older grant is not said to be this app's"


@pytest.mark.requirement("R-3")
async def test_a_new_entry_of_an_enabled_app_ends_nothing(house: House) -> None:
    before = await granted(house, "renewed")
    await register(house, "renewed", purpose="Draws.")
    assert await works(before) == [200, 200, 200]


@pytest.mark.requirement("R-3")
async def test_an_app_does_not_say_itself_since_when_it_has_its_name(house: House) -> None:
    entry = {"client_id": "backdated", "name": "Backdated", "redirect_uris": [NEW_CALLBACK], "registered_at": 0}
    assert (await administer(house, "POST", "/clients", entry)).status_code == 400
