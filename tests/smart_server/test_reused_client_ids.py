"""An app with the client_id of a disabled one is another app, and inherits no grants."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.smart_server.admin_client import admin_request, register_client, replace_client
from tests.smart_server.person_in_browser import Person
from tests.smart_server.running_server import RunningServer
from tests.smart_server.smart_app import App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "openid offline_access patient/Patient.rs"
NEW_CALLBACK = "https://new.example/callback"


@dataclass
class ClientTokens:
    """The tokens and the remembered consent of the first app. `code` is not exchanged yet."""

    app: App
    person: Person
    tokens: dict[str, Any]
    code: str


async def issue_client_tokens(server: RunningServer, client_id: str) -> ClientTokens:
    """Register an app and grant it access."""
    await register_client(server, client_id)
    app = server.app(client_id)
    person, page = await server.open_consent_page(app, SCOPE)
    page = await person.agree(page, remember="yes")
    tokens = (await app.exchange(page.parameters["code"])).json()
    return ClientTokens(app, person, tokens, await server.request_code(app, "openid patient/Patient.rs", person=person))


async def use_statuses(granted: ClientTokens) -> list[int]:
    """The statuses of a read, a code exchange and a refresh."""
    read = await granted.app.read("/Patient/pat-a", granted.tokens["access_token"])
    exchange = await granted.app.exchange(granted.code)
    refresh = await granted.app.refresh(granted.tokens["refresh_token"])
    return [response.status_code for response in (read, exchange, refresh)]


@pytest.mark.requirement("R-3", "edge-26")
async def test_another_app_of_the_name_inherits_neither_consent_nor_grants(server: RunningServer) -> None:
    before = await issue_client_tokens(server, "heir")
    await admin_request(server, "DELETE", "/clients/heir")
    await replace_client(server, "heir", name="Quite another app", redirect_uris=[NEW_CALLBACK])
    assert await use_statuses(before) == [401, 400, 400]
    introspected = await server.app("https://symmetric.example").post(
        "/introspect", {"token": before.tokens["access_token"]}
    )
    assert introspected.json() == {"active": False}
    app = server.app("heir", redirect_uri=NEW_CALLBACK)
    _, page = await server.open_consent_page(app, "openid patient/Patient.rs", person=before.person)
    assert page.left_for is None, "nobody agreed to anything of this app"
    page = await before.person.agree(page, remember="yes")
    assert (await app.exchange(page.parameters["code"])).status_code == 200
    _, page = await server.open_consent_page(app, "openid patient/Patient.rs", person=before.person)
    assert "code" in page.parameters, "what was agreed to of this app is remembered"
    manage = await before.person.open(f"{server.issuer}/manage")
    assert manage.text.count("Yes, end access") == 1, "the older grant has ended with the older app"


@pytest.mark.requirement("R-3")
async def test_a_new_entry_of_an_enabled_app_ends_nothing(server: RunningServer) -> None:
    before = await issue_client_tokens(server, "renewed")
    await replace_client(server, "renewed", purpose="Draws.")
    assert await use_statuses(before) == [200, 200, 200]


@pytest.mark.requirement("R-3")
async def test_an_app_does_not_say_itself_since_when_it_has_its_name(server: RunningServer) -> None:
    entry = {"client_id": "backdated", "name": "Backdated", "redirect_uris": [NEW_CALLBACK], "registered_at": 0}
    assert (await admin_request(server, "POST", "/clients", entry)).status_code == 400
