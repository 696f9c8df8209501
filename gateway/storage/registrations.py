"""Clients and users that were added while the gateway runs, beside those of the configuration."""

from dataclasses import asdict, dataclass
from typing import Any

from gateway.storage.records import decode, encode
from gateway.storage.store import Store

_CLIENTS = "clients"
_USERS = "users"


@dataclass(frozen=True, slots=True)
class LocalUser:
    """Somebody who signs in here by a password, of which only the argon2 hash is kept."""

    username: str
    name: str
    password_hash: str
    fhir_user: str | None = None


class Registrations:
    """What administrators and apps registered. Clients are kept as the JSON that was accepted, secrets hashed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put_client(self, client_id: str, entry: dict[str, Any]) -> None:
        """Add a client or put another entry in its place."""
        await self._store.put(f"client:{client_id}", encode(entry), None)
        await self._store.add(_CLIENTS, client_id, None)

    async def client(self, client_id: str) -> dict[str, Any] | None:
        """The entry of a client."""
        return decode(await self._store.get(f"client:{client_id}"), dict)

    async def client_ids(self) -> frozenset[str]:
        """All of them."""
        return await self._store.members(_CLIENTS)

    async def put_user(self, user: LocalUser) -> None:
        """Add a user or put another in its place."""
        await self._store.put(f"user:{user.username}", encode(asdict(user)), None)
        await self._store.add(_USERS, user.username, None)

    async def user(self, username: str) -> LocalUser | None:
        """The user of that name."""
        return decode(await self._store.get(f"user:{username}"), LocalUser)
