"""Which users and clients the configuration had at the last start, so that the next one notices who is gone."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.record_encoding import decode, encode


@dataclass(frozen=True, slots=True)
class Configured:
    """The users and clients of a configuration.

    `users` holds, by name, a digest of what a sign-in depends on: the password's hash, the user's resource and roles.
    """

    users: Mapping[str, str]
    client_ids: tuple[str, ...]


class ConfiguredStore:
    """What the last worker that started had in its configuration."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self) -> Configured | None:
        """The users and clients at the last start; None if none is known."""
        return decode(await self._store.get(store_keys.CONFIGURED), Configured)

    async def put(self, configured: Configured) -> None:
        """Remember the users and clients of this start."""
        await self._store.put(store_keys.CONFIGURED, encode(configured), None)
