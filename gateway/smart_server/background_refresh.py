"""Keeps what a worker caches of the store up to date: the web origins of clients, and the signing keys."""

import asyncio
import logging
from collections.abc import Iterable

from gateway.oauth.client.client import Client
from gateway.smart_server.dependencies import Dependencies
from gateway.storage.backends.store import StoreUnavailableError

# Seconds until a worker uses the clients and keys that another worker added.
_REFRESH_INTERVAL = 5.0
_log = logging.getLogger(__name__)


class BackgroundRefresh:
    """Caches the origins of the clients, and reloads them and the signing keys while the gateway runs."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies
        self._origins: dict[str, frozenset[str]] = {}
        self._all_origins: frozenset[str] = frozenset()
        self._warned_of: frozenset[str] = frozenset()

    def registered_origins(self, client_id: str | None) -> frozenset[str]:
        """The web origins of a client, or of all clients for None, as of the last refresh."""
        return self._all_origins if client_id is None else self._origins.get(client_id, frozenset())

    async def refresh(self) -> None:
        """Reload the clients and the signing keys. Raises `StoreUnavailableError`."""
        clients = await self._dependencies.clients.list_all()
        self._origins = {client.client_id: client.origins for client in clients if not client.disabled}
        self._all_origins = frozenset().union(*self._origins.values())
        self._warn_of_unproven(clients)
        await self.reload_signing_keys()

    def _warn_of_unproven(self, clients: Iterable[Client]) -> None:
        """Warn once of each registered public app without PKCE. `find_warnings` does so for configured ones."""
        is_configured = self._dependencies.clients.is_configured
        unproven = {
            client.client_id
            for client in clients
            if client.is_unproven and not client.disabled and not is_configured(client.client_id)
        }
        for client_id in sorted(unproven - self._warned_of):
            _log.warning(
                "a public app need not use PKCE: whoever sees its code can redeem it", extra={"client_id": client_id}
            )
        self._warned_of = frozenset(unproven)

    async def reload_signing_keys(self) -> None:
        """Use the signing keys as they are in the store. Raises `StoreUnavailableError`."""
        dependencies = self._dependencies
        await dependencies.signing_keys.reload(dependencies.storage.signing_keys, dependencies.now())

    async def run(self) -> None:
        """Refresh every few seconds, until the task is cancelled."""
        while True:
            await asyncio.sleep(_REFRESH_INTERVAL)
            try:
                await self.refresh()
            except StoreUnavailableError:
                # The store logs that itself.
                continue
