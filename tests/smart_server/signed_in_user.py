"""A user with everything that can be ended: a session, tokens, codes, a request in progress, a remembered consent."""

from dataclasses import dataclass
from typing import Any

from tests.smart_server.admin_client import admin_request
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import PASSWORD_HASH, RunningServer
from tests.smart_server.smart_app import App

OFFLINE = "openid offline_access launch/patient patient/Patient.r"
ONLINE = "launch/patient online_access patient/Patient.r"


async def add_user(server: RunningServer, username: str, **changes: Any) -> None:
    """Add a clinician with the password `demo`."""
    members = {"username": username, "name": username, "password_hash": PASSWORD_HASH}
    body = {**members, "fhir_user": "Practitioner/practitioner-1", **changes}
    response = await admin_request(server, "POST", "/users", body)
    assert response.status_code == 201, response.text


@dataclass
class SignedInUser:
    """What a user has. `pending` is a consent page that was left open, `codes` are not redeemed yet."""

    server: RunningServer
    username: str
    person: Person
    app: App
    online_app: App
    offline: dict[str, Any]
    online: dict[str, Any]
    offline_code: str
    online_code: str
    pending: Page

    async def is_signed_in(self) -> bool:
        """Whether the browser still has its session."""
        return "/sign-in" not in (await self.person.open(f"{self.server.issuer}/manage")).url

    async def working(self) -> set[str]:
        """What of it still gives access. Asking uses it up."""
        results = {
            "offline token": (await self.app.read("/Patient/pat-a", self.offline["access_token"])).status_code,
            "online token": (await self.online_app.read("/Patient/pat-a", self.online["access_token"])).status_code,
            "offline refresh": (await self.app.refresh(self.offline["refresh_token"])).status_code,
            "online refresh": (await self.online_app.refresh(self.online["refresh_token"])).status_code,
            "offline code": (await self.app.exchange(self.offline_code)).status_code,
            "online code": (await self.online_app.exchange(self.online_code)).status_code,
        }
        assert set(results.values()) <= {200, 400, 401}, results
        working = {name for name, status in results.items() if status == 200}
        if (await self.person.agree(self.pending)).left_for is not None:
            working.add("request in progress")
        return working | ({"session"} if await self.is_signed_in() else set())


EVERYTHING = {
    "offline token", "online token", "offline refresh", "online refresh", "offline code", "online code",
    "request in progress", "session",
}  # fmt: skip


async def sign_in_and_grant(server: RunningServer, username: str, client_id: str = "public-app") -> SignedInUser:
    """Sign a user in, and grant access of every kind to two apps."""
    person, app, online_app = server.person(), server.app(client_id), server.app("other-app")
    options: dict[str, Any] = {"person": person, "user": username}
    _, page = await server.open_consent_page(app, OFFLINE, **options)
    page = await person.agree(page, remember="yes")
    offline = (await app.exchange(page.parameters["code"])).json()
    online = await server.request_tokens(online_app, ONLINE, **options)
    for tokens, client in ((offline, app), (online, online_app)):
        # Each token is known to the worker that is asked later.
        assert (await client.read("/Patient/pat-a", tokens["access_token"])).status_code == 200
    _, pending = await server.open_consent_page(server.app("labs-app"), "launch/patient patient/Patient.r", **options)
    return SignedInUser(
        server, username, person, app, online_app, offline, online,
        offline_code=await server.request_code(app, OFFLINE, prompt="consent", **options),
        online_code=await server.request_code(online_app, ONLINE, prompt="consent", **options),
        pending=pending,
    )  # fmt: skip
