"""Logins with a provider that no app asked for: for our own pages, such as the list of grants."""

from dataclasses import dataclass

from gateway.storage.handles import digest
from gateway.storage.records import decode, encode
from gateway.storage.store import Store

_LIFETIME = 900.0


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser that left for a provider. `browser` is the digest of its cookie, `target` the page it comes back to."""

    browser: str
    target: str
    provider_index: int
    nonce: str
    verifier: str


class Visits:
    """All browsers that are at a provider for a page of ours, by the state that they come back with."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, state: str, visit: Visit) -> None:
        """Remember that a browser left."""
        await self._store.put(_key(state), encode(visit), _LIFETIME)

    async def take(self, state: str) -> Visit | None:
        """The visit, to one taker only."""
        return decode(await self._store.take(_key(state)), Visit)


def _key(state: str) -> str:
    return f"visit:{digest(state)}"
