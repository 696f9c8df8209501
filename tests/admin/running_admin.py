"""A running admin port for tests, beside the gateway that it administers."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from gateway.admin.lasting_parts import LastingAdminParts
from gateway.oauth.client.client import digest_secret
from gateway.telemetry.decisions.recent_decisions import RecentDecisions, SharedDecisions
from tests.proxy.running_gateway import serve_on
from tests.servers.ports import free_port
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import PASSWORD_HASH, RunningServer, run_smart_server

OPERATOR = "olga"
AUDITOR = "anna"
PASSWORD = "demo"
OPERATOR_TOKEN = "a-long-token-of-an-operating-program"
AUDITOR_TOKEN = "a-long-token-of-an-auditing-program"


@dataclass
class RunningAdmin:
    """The admin port, and the gateway that it administers."""

    url: str
    server: RunningServer
    recent: RecentDecisions

    async def sign_in(self, name: str = OPERATOR) -> Person:
        """Somebody who has signed in at the admin port, in a browser of their own."""
        person = self.stranger()
        page = await person.sign_in(await person.open(f"{self.url}/sign-in"), name, PASSWORD)
        assert page.status == 200, page.text
        return person

    def stranger(self) -> Person:
        """Somebody with a browser who has not signed in."""
        person = Person(self.url)
        self.server.people.append(person)
        return person

    async def call(
        self, method: str, path: str, body: object = None, *, token: str = OPERATOR_TOKEN, **options: Any
    ) -> httpx2.Response:
        """One request of a program to the API, with a JSON body if there is one."""
        headers = {"authorization": f"Bearer {token}", **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        return await self.server.http.request(method, f"{self.url}/api{path}", headers=headers, **options)

    async def open(self, person: Person, path: str) -> Page:
        """A page of the admin port."""
        return await person.open(self.url + path)


def _administer(settings: dict[str, Any], port: int) -> None:
    settings["admin"] = {
        "port": port,
        "accounts": [
            {"name": OPERATOR, "password_hash": PASSWORD_HASH, "role": "operator"},
            {"name": AUDITOR, "password_hash": PASSWORD_HASH, "role": "auditor"},
        ],
        "tokens": [
            {"name": "deployer", "token_hash": digest_secret(OPERATOR_TOKEN), "role": "operator"},
            {"name": "watcher", "token_hash": digest_secret(AUDITOR_TOKEN), "role": "auditor"},
        ],
    }


@contextlib.asynccontextmanager
async def run_admin(
    upstream: str, *, change: Callable[[dict[str, Any]], None] | None = None
) -> AsyncIterator[RunningAdmin]:
    """Run a gateway with an admin port. `change` may change its settings."""
    port = free_port()

    def administer(settings: dict[str, Any]) -> None:
        _administer(settings, port)
        if change is not None:
            change(settings)

    recent = RecentDecisions(SharedDecisions(1, 1024 * 1024))
    async with (
        run_smart_server(upstream, change=administer, admin=LastingAdminParts(recent)) as server,
        serve_on(server.gateway.administer, port),
    ):
        yield RunningAdmin(f"http://127.0.0.1:{port}", server, recent)
