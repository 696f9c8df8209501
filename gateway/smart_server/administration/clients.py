"""The registered apps: what administrators see of them, and what they do with them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.oauth.client.client import AuthenticationMethod, Client
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.administration.client_registration import (
    SECRET_MEMBERS,
    STATE_MEMBERS,
    ClientRegistration,
    RegisteredClient,
)
from gateway.smart_server.administration.record_pages import PAGE_SIZE, RecordPage, read_page
from gateway.smart_server.dependencies import Dependencies
from gateway.telemetry.server_event import EventKind


@dataclass(frozen=True, slots=True)
class ClientSummary:
    """An app in a list. `registered_at` is in seconds since the epoch, and 0 for an app of the configuration."""

    client_id: str
    name: str
    authentication: str
    disabled: bool
    without_pkce: bool
    is_configured: bool
    self_registered: bool
    registered_at: float


@dataclass(frozen=True, slots=True)
class ClientDetails:
    """An app, and the members of its entry as they were set, without secrets; none for one of the configuration."""

    summary: ClientSummary
    entry: Mapping[str, Any]


class ManagedClients:
    """Lists, adds, changes, disables and removes clients. Raises `AdminRequestError` and `StoreUnavailableError`.

    Clients of the configuration are changed there.
    """

    def __init__(self, dependencies: Dependencies, registration: ClientRegistration) -> None:
        self._dependencies = dependencies
        self._registration = registration

    async def list(self) -> tuple[ClientSummary, ...]:
        """All clients, by name."""
        return tuple(map(self._summarize, await self._dependencies.clients.list_all()))

    async def page(
        self,
        *,
        search: str = "",
        fits: Callable[[ClientSummary], bool] = lambda _: True,
        after: str = "",
        limit: int = PAGE_SIZE,
    ) -> RecordPage[ClientSummary]:
        """Some of the clients that fit and have `search` in name or client_id, by client_id, behind `after`."""
        wanted = search.casefold()

        async def read(client_id: str) -> ClientSummary | None:
            client = await self._dependencies.clients.find_any(client_id)
            return None if client is None else self._summarize(client)

        def is_wanted(client: ClientSummary) -> bool:
            return fits(client) and (wanted in client.name.casefold() or wanted in client.client_id.casefold())

        return await read_page(
            await self._dependencies.clients.list_ids(), read, fits=is_wanted, after=after, limit=limit
        )

    async def show(self, client_id: str) -> ClientDetails:
        """One client. A registered one whose entry cannot be read any more is refused like an unknown one."""
        client = await self._dependencies.clients.find_any(client_id)
        if client is None:
            raise AdminRequestError(404, f"There is no client {client_id!r}.")
        if self._dependencies.clients.is_configured(client_id):
            return ClientDetails(self._summarize(client), {})
        stored = await self._registration.find_registered(client_id)
        hidden = SECRET_MEMBERS | STATE_MEMBERS
        entry = {name: value for name, value in stored.items() if name not in hidden}
        return ClientDetails(self._summarize(client), entry)

    async def register(self, members: dict[str, Any], *, replaces: bool = False) -> RegisteredClient:
        """Add a client. A known client_id is refused, unless it `replaces` a registered one."""
        return await self._registration.register(members, replaces=replaces)

    async def update(self, client_id: str, changes: dict[str, Any]) -> RegisteredClient:
        """Change members, and remove those that are null (RFC 7396); `disabled` disables or enables."""
        return await self._registration.update(client_id, changes)

    async def disable(self, client_id: str) -> None:
        """Refuse the client from now on, and end everything that was granted to it."""
        await self._registration.disable(client_id)
        await self._dependencies.storage.ends.end_client(client_id)
        self._dependencies.record_event(EventKind.CLIENT_DISABLED, client_id=client_id)

    async def enable(self, client_id: str) -> None:
        """Accept a disabled client again. What was granted to it stays ended."""
        await self._registration.update(client_id, {"disabled": False})

    async def remove(self, client_id: str) -> None:
        """Remove the client, and end everything that was granted to it."""
        storage = self._dependencies.storage
        # Disabled first: until everything has ended, nothing more is granted, and an interruption can be repeated.
        await self._registration.disable(client_id)
        await storage.ends.end_client(client_id)
        await storage.registrations.remove_client(client_id)
        self._dependencies.record_event(EventKind.CLIENT_REMOVED, client_id=client_id, reason="administrator")

    async def approve(self, client_id: str) -> None:
        """From now on, an app that registered itself counts as one that an operator has registered."""
        entry = await self._registration.find_registered(client_id)
        if entry.get("self_registered") is not True:
            raise AdminRequestError(409, f"The client {client_id!r} did not register itself, or was reviewed before.")
        await self._registration.replace(client_id, entry, {**entry, "self_registered": False})
        self._dependencies.record_event(EventKind.CLIENT_APPROVED, client_id=client_id)

    async def rotate_secret(self, client_id: str) -> str:
        """Replace the secret of a client. The new one is returned once; the old one is void at once."""
        entry = await self._registration.find_registered(client_id)
        if entry.get("type") != "confidential-symmetric":
            raise AdminRequestError(409, f"The client {client_id!r} has no secret: it is not confidential-symmetric.")
        registered = await self._registration.update(client_id, {"client_secret_hash": None}, reason="secret")
        if registered.secret is None:
            raise AdminRequestError(409, f"The client {client_id!r} was changed meanwhile.")
        return registered.secret

    def _summarize(self, client: Client) -> ClientSummary:
        return ClientSummary(
            client_id=client.client_id,
            name=client.name,
            authentication=client.authentication.value,
            disabled=client.disabled,
            without_pkce=client.is_unproven,
            is_configured=self._dependencies.clients.is_configured(client.client_id),
            self_registered=client.self_registered,
            registered_at=client.registered_at,
        )


AUTHENTICATION_METHODS = tuple(method.value for method in AuthenticationMethod)
"""What `ClientSummary.authentication` may be."""
