"""The keys that id_tokens are signed with, the same for every worker: made once, published before use, kept after."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.storage.records import decode, encode
from gateway.storage.store import Store

_KEY = "signing-keys"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A private JWK as text, and from when on it signs. Times are in seconds since the epoch."""

    jwk: str
    signs_from: float


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """All of them, the oldest first."""

    keys: tuple[StoredKey, ...]


class SigningKeyStore:
    """The one list of keys."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self, make: Callable[[], StoredKey]) -> StoredKeys:
        """The keys; one that `make` makes where there are none yet. Of many workers that begin at once one is taken."""
        data = await self._store.get(_KEY)
        if data is None:
            await self._store.put_new(_KEY, encode(StoredKeys((make(),))), None)
            data = await self._store.get(_KEY)
        known = decode(data, StoredKeys)
        if known is None:
            raise ValueError("The signing keys in the store cannot be read.")
        return known

    async def rotate(self, following: StoredKey, *, forget_before: float) -> StoredKeys:
        """Add a key, and forget those that another has followed since before that moment."""
        while True:
            data = await self._store.get(_KEY)
            known = decode(data, StoredKeys)
            if data is None or known is None:
                return await self.load(lambda: following)
            successors = (*known.keys[1:], following)
            kept = [
                one for one, next_one in zip(known.keys, successors, strict=True) if next_one.signs_from > forget_before
            ]
            rotated = StoredKeys((*kept, following))
            if await self._store.replace(_KEY, data, encode(rotated), None):
                return rotated
