"""Clients by id: those of the configuration first, then those that were registered while the gateway runs."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from gateway.oauth.authorization import Authorization
from gateway.oauth.client import Client
from gateway.settings.clients import ClientEntry
from gateway.storage.registrations import Registrations

_log = logging.getLogger(__name__)


class Clients:
    """All registered apps."""

    def __init__(self, configured: Sequence[ClientEntry], registrations: Registrations) -> None:
        self._configured = {one.client_id: one.client() for one in configured}
        self._registrations = registrations

    async def find(self, client_id: str) -> Client | None:
        """The client, if it is registered and enabled."""
        client = await self.look_up(client_id)
        return None if client is None or client.disabled else client

    async def holder(self, authorization: Authorization) -> Client | None:
        """The client that it was granted to, if it is registered and enabled."""
        client = await self.find(authorization.client_id)
        return client if client is not None and authorization.is_of(client) else None

    async def look_up(self, client_id: str) -> Client | None:
        """The client, disabled or not. One of the configuration cannot be replaced by a registered one."""
        known = self._configured.get(client_id)
        if known is not None:
            return known
        entry = await self._registrations.client(client_id)
        return None if entry is None else _client(client_id, entry)

    async def all(self) -> list[Client]:
        """Every client, in the order of names."""
        found = list(self._configured.values())
        for client_id in await self._registrations.client_ids():
            client = await self.look_up(client_id)
            if client is not None and client_id not in self._configured:
                found.append(client)
        return sorted(found, key=lambda one: (one.name.lower(), one.client_id))

    def is_configured(self, client_id: str) -> bool:
        """Whether the configuration names it, so that it can only be changed there."""
        return client_id in self._configured


def _client(client_id: str, entry: Mapping[str, Any]) -> Client | None:
    members = dict(entry)
    disabled = members.pop("disabled", False) is True
    self_registered = members.pop("self_registered", False) is True
    registered_at = float(members.pop("registered_at", 0.0))
    try:
        client = ClientEntry.model_validate(members).client()
    except ValidationError:
        _log.warning("a registered client cannot be read and is refused", extra={"client_id": client_id})
        return None
    if client.client_id != client_id:
        return None
    return replace(client, disabled=disabled, self_registered=self_registered, registered_at=registered_at)
