"""The registered clients: those of the configuration, and those that were registered while the gateway runs."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from gateway.oauth.authorization import Authorization
from gateway.oauth.client.client import Client
from gateway.settings.authorization.clients import ClientEntry
from gateway.storage.accounts.registrations import Registrations

_MAX_REMEMBERED = 1000
_log = logging.getLogger(__name__)


class ClientRegistry:
    """Finds clients by id. The configuration takes precedence."""

    def __init__(self, configured: Sequence[ClientEntry], registrations: Registrations) -> None:
        self._configured = {entry.client_id: entry.to_client() for entry in configured}
        self._registrations = registrations
        # Entries of the store with what was read from them: anyone may name a client in an authorization request.
        self._read: dict[str, tuple[Mapping[str, Any], Client | None]] = {}

    async def find_enabled(self, client_id: str) -> Client | None:
        """The client, if it is registered and enabled."""
        client = await self.find_any(client_id)
        return None if client is None or client.disabled else client

    async def find_for_authorization(self, authorization: Authorization) -> Client | None:
        """The client that the authorization was granted to, if it is registered and enabled."""
        client = await self.find_enabled(authorization.client_id)
        return client if client is not None and authorization.belongs_to(client) else None

    async def find_any(self, client_id: str) -> Client | None:
        """The client, disabled or not. A registered client cannot replace one of the configuration."""
        configured = self._configured.get(client_id)
        if configured is not None:
            return configured
        entry = await self._registrations.get_client(client_id)
        return None if entry is None else self._read_once(client_id, entry)

    def _read_once(self, client_id: str, entry: Mapping[str, Any]) -> Client | None:
        """The client of an entry, which is read again when it has changed."""
        read = self._read.get(client_id)
        if read is None or read[0] != entry:
            if len(self._read) >= _MAX_REMEMBERED:
                self._read.clear()
            read = self._read[client_id] = entry, _read_client(client_id, entry)
        return read[1]

    async def list_all(self) -> list[Client]:
        """Every client, sorted by name."""
        clients = list(self._configured.values())
        for client_id in await self._registrations.list_client_ids():
            client = await self.find_any(client_id)
            if client is not None and client_id not in self._configured:
                clients.append(client)
        return sorted(clients, key=lambda client: (client.name.lower(), client.client_id))

    async def list_ids(self) -> frozenset[str]:
        """The ids of all clients."""
        return await self._registrations.list_client_ids() | self._configured.keys()

    def is_configured(self, client_id: str) -> bool:
        """Whether the client is in the configuration. Then it can only be changed there."""
        return client_id in self._configured


def _read_client(client_id: str, entry: Mapping[str, Any]) -> Client | None:
    members = dict(entry)
    disabled = members.pop("disabled", False) is True
    self_registered = members.pop("self_registered", False) is True
    registered_at = float(members.pop("registered_at", 0.0))
    try:
        client = ClientEntry.model_validate(members).to_client()
    except ValidationError:
        _log.warning("a registered client cannot be read and is refused", extra={"client_id": client_id})
        return None
    if client.client_id != client_id:
        return None
    return replace(client, disabled=disabled, self_registered=self_registered, registered_at=registered_at)
