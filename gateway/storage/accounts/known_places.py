"""The places from which an account was proven: addresses and browsers that no slow-down of the account concerns."""

from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.tokens.opaque_tokens import digest

KNOWN_PLACE_SECONDS = 180 * 86400
"""Seconds since the last success, after which a place is no longer known."""


class KnownPlaces:
    """Pairs of an account and a place. Only a success of the account makes one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def remember(self, account: str, place: str) -> None:
        """The account was proven from this place."""
        await self._store.put(_key(account, place), b"", KNOWN_PLACE_SECONDS)

    async def is_known(self, account: str, place: str) -> bool:
        """Whether the account was proven from this place before."""
        return await self._store.get(_key(account, place)) is not None


def _key(account: str, place: str) -> str:
    return store_keys.KNOWN_PLACE + digest(f"{account}\n{place}")
