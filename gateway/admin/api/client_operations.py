"""`/api/clients`: the registered apps."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.admin.api.operation import Call, NoQuery, Operation, action, read
from gateway.admin.api.values import JsonObject, ListQuery, ReplaceQuery
from gateway.admin.launches import ManagedLaunches
from gateway.smart_server.administration.client_registration import RegisteredClient
from gateway.smart_server.administration.clients import ClientDetails, ClientSummary, ManagedClients
from gateway.smart_server.administration.record_pages import RecordPage
from gateway.smart_server.launch.launch_service import PreparedLaunch

_ONE = "/clients/{client_id}"


class NewSecret(msgspec.Struct, frozen=True):
    """The new secret of an app, which nobody can read again."""

    client_secret: str


class LaunchOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the app gets: a launch context as of a launcher, and which of its launch URIs is opened."""

    context: Annotated[JsonObject, Meta(description='Such as {"patient": "123"}.')] = msgspec.field(
        default_factory=dict
    )
    launch_uri: str | None = None


class ClientOperations:
    """What administrators do with apps."""

    def __init__(self, clients: ManagedClients, launches: ManagedLaunches) -> None:
        self._clients = clients
        self._launches = launches

    def operations(self) -> Iterator[Operation]:
        """The operations."""
        yield read("/clients", "listClients", "The apps, of the configuration and registered.", self._list,
                   RecordPage[ClientSummary], query=ListQuery)  # fmt: skip
        yield Operation(
            "POST", "/clients", "registerClient", "Register an app. A secret that is generated is in this answer only.",
            self._register, RegisteredClient, query=ReplaceQuery, body=JsonObject, body_schema="NewClient", status=201,
            refusals=(409, 415),
        )  # fmt: skip
        yield read(_ONE, "showClient", "An app, and its entry without secrets if it was registered.", self._show,
                   ClientDetails, refusals=(404, 409))  # fmt: skip
        yield Operation(
            "PATCH", _ONE, "changeClient", "Change members of a registered app; null removes one (RFC 7396).",
            self._change, RegisteredClient, body=JsonObject, body_schema="ClientChanges", refusals=(404, 409, 415),
        )  # fmt: skip
        yield action("DELETE", _ONE, "removeClient", "Remove a registered app, and end all that it was granted.",
                      self._remove)  # fmt: skip
        yield action("POST", f"{_ONE}/disable", "disableClient", "Refuse an app, and end all that it was granted.",
                      self._disable)  # fmt: skip
        yield action("POST", f"{_ONE}/enable", "enableClient", "Accept a disabled app again.", self._enable)
        yield action(
            "POST", f"{_ONE}/approve", "approveClient",
            "An app that registered itself counts as one that an operator registered.", self._approve,
        )  # fmt: skip
        yield Operation(
            "POST", f"{_ONE}/secret", "rotateSecret", "Replace the secret of an app; it is in this answer only.",
            self._rotate_secret, NewSecret, status=201, refusals=(404, 409),
        )  # fmt: skip
        yield Operation(
            "POST", f"{_ONE}/launch", "launchClient",
            "Make a link that opens an app as an EHR does. Who opens it still has to sign in.",
            self._launch, PreparedLaunch, body=LaunchOrder, status=201, refusals=(404, 409, 415),
        )  # fmt: skip

    async def _list(self, call: Call[ListQuery, None]) -> RecordPage[ClientSummary]:
        query = call.query
        return await self._clients.page(search=query.search, after=query.after, limit=query.limit)

    async def _register(self, call: Call[ReplaceQuery, JsonObject]) -> RegisteredClient:
        return await self._clients.register(call.body, replaces=call.query.replace == "true")

    async def _show(self, call: Call[NoQuery, None]) -> ClientDetails:
        return await self._clients.show(call.path["client_id"])

    async def _change(self, call: Call[NoQuery, JsonObject]) -> RegisteredClient:
        return await self._clients.update(call.path["client_id"], call.body)

    async def _remove(self, call: Call[NoQuery, None]) -> None:
        await self._clients.remove(call.path["client_id"])

    async def _disable(self, call: Call[NoQuery, None]) -> None:
        await self._clients.disable(call.path["client_id"])

    async def _enable(self, call: Call[NoQuery, None]) -> None:
        await self._clients.enable(call.path["client_id"])

    async def _approve(self, call: Call[NoQuery, None]) -> None:
        await self._clients.approve(call.path["client_id"])

    async def _rotate_secret(self, call: Call[NoQuery, None]) -> NewSecret:
        return NewSecret(await self._clients.rotate_secret(call.path["client_id"]))

    async def _launch(self, call: Call[NoQuery, LaunchOrder]) -> PreparedLaunch:
        return await self._launches.start(call.path["client_id"], call.body.context, call.body.launch_uri)
