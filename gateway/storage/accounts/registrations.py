"""Clients and users that were added while the gateway runs, in addition to those of the configuration."""

from typing import Any

from pydantic import ValidationError

from gateway.settings.authorization.smart_server import LocalUserEntry
from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.record_encoding import decode, encode


class Registrations:
    """What administrators and apps registered. A client is stored as its accepted JSON entry, with hashed secrets."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add_client(self, client_id: str, entry: dict[str, Any]) -> bool:
        """Add a client. Return False if there is one of this id."""
        await self._store.add_member(store_keys.CLIENT_IDS, client_id, None)
        return await self._store.put_new(store_keys.CLIENT + client_id, encode(entry), None)

    async def put_client(self, client_id: str, entry: dict[str, Any]) -> None:
        """Add a client or replace its entry."""
        await self._store.put(store_keys.CLIENT + client_id, encode(entry), None)
        await self._store.add_member(store_keys.CLIENT_IDS, client_id, None)

    async def replace_client(self, client_id: str, expected: dict[str, Any], entry: dict[str, Any]) -> bool:
        """Replace the entry of a client. Return False if it is not `expected` any more: then nothing is changed."""
        return await self._replace(store_keys.CLIENT + client_id, expected, entry)

    async def get_client(self, client_id: str) -> dict[str, Any] | None:
        """The entry of a client."""
        return decode(await self._store.get(store_keys.CLIENT + client_id), dict)

    async def list_client_ids(self) -> frozenset[str]:
        """The ids of all registered clients."""
        return await self._store.members(store_keys.CLIENT_IDS)

    async def add_user(self, user: LocalUserEntry) -> bool:
        """Add a user. Return False if there is one of this name."""
        await self._store.add_member(store_keys.USERNAMES, user.username, None)
        return await self._store.put_new(store_keys.USER + user.username, encode(user.model_dump()), None)

    async def put_user(self, user: LocalUserEntry) -> None:
        """Add a user or replace them."""
        await self._store.put(store_keys.USER + user.username, encode(user.model_dump()), None)
        await self._store.add_member(store_keys.USERNAMES, user.username, None)

    async def replace_user(self, expected: LocalUserEntry, user: LocalUserEntry) -> bool:
        """Replace a user. Return False if they are not `expected` any more: then nothing is changed."""
        return await self._replace(store_keys.USER + user.username, expected.model_dump(), user.model_dump())

    async def _replace(self, key: str, expected: dict[str, Any], entry: dict[str, Any]) -> bool:
        stored = await self._store.get(key)
        if stored is None or decode(stored, dict) != decode(encode(expected), dict):
            return False
        return await self._store.replace(key, stored, encode(entry), None)

    async def remove_client(self, client_id: str) -> None:
        """Remove a client. The entry goes last, so that an interrupted removal can be repeated."""
        await self._store.remove_member(store_keys.CLIENT_IDS, client_id)
        await self._store.delete(store_keys.CLIENT + client_id)

    async def remove_user(self, username: str) -> None:
        """Remove a user. The entry goes last, so that an interrupted removal can be repeated."""
        await self._store.remove_member(store_keys.USERNAMES, username)
        await self._store.delete(store_keys.USER + username)

    async def list_usernames(self) -> frozenset[str]:
        """The names of all users that were added."""
        return await self._store.members(store_keys.USERNAMES)

    async def get_user(self, username: str) -> LocalUserEntry | None:
        """The user of that name; None if there is none or the entry is not valid."""
        members = decode(await self._store.get(store_keys.USER + username), dict)
        try:
            return None if members is None else LocalUserEntry.model_validate(members)
        except ValidationError:
            return None
