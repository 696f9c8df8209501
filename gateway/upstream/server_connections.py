"""The connections to the FHIR server, which gateways of one process share as long as their settings are the same."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gateway.settings.serving.upstream import Upstream
from gateway.upstream.build import build_authentication, build_connection_pool, build_exchange
from gateway.upstream.connection_pool import ConnectionPool
from gateway.upstream.documents.control_client import ControlClient
from gateway.upstream.exchange_types import Exchange, Headers


@dataclass(slots=True, eq=False)
class ServerConnections:
    """A pool of connections, and the `exchange` that adds credentials where they change. `users` is their number."""

    settings: object
    pool: ConnectionPool
    exchange: Exchange
    users: int = 0


class SharedServerConnections:
    """All pools of this process: one, and a second one while a reload replaces it."""

    def __init__(self, control_client: ControlClient, constant_headers: Headers) -> None:
        """`control_client` fetches tokens for the FHIR server. Every request carries `constant_headers`."""
        self._control_client = control_client
        self._constant_headers = constant_headers
        self._all: list[ServerConnections] = []

    def take(self, settings: Upstream) -> ServerConnections:
        """The connections by these settings: those in use if they have the same, else new ones."""
        decisive = _decisive(settings)
        found = next((one for one in self._all if one.settings == decisive), None)
        if found is None:
            authentication = build_authentication(settings.authentication, self._control_client)
            pool = build_connection_pool(settings, authentication, self._constant_headers)
            found = ServerConnections(decisive, pool, build_exchange(settings, pool, authentication))
            self._all.append(found)
        found.users += 1
        return found

    async def give_back(self, connections: ServerConnections) -> None:
        """Close them if nobody else uses them."""
        connections.users -= 1
        if not connections.users:
            self._all.remove(connections)
            await connections.pool.aclose()


def _decisive(settings: Upstream) -> tuple[object, ...]:
    """What the connections depend on, with the content of the certificates."""
    tls = settings.tls
    files = _digests((tls.ca_file, tls.client_certificate_file, tls.client_key_file))
    return settings.base_url, settings.authentication, tls, settings.pool, files


def _digests(paths: Iterable[Path | None]) -> tuple[str | None, ...]:
    return tuple(None if path is None else hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
