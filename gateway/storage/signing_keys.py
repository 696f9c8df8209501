"""The keys that sign id_tokens, shared by all workers: published before they sign and kept after their rotation."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.record_encoding import decode, encode


@dataclass(frozen=True, slots=True)
class StoredSigningKey:
    """A private JWK as text, and the time from which on it signs, in seconds since the epoch."""

    jwk: str
    signs_from: float


@dataclass(frozen=True, slots=True)
class StoredSigningKeys:
    """All signing keys, the oldest first."""

    keys: tuple[StoredSigningKey, ...]


class SigningKeyStore:
    """Loads and rotates the list of signing keys."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self, create_key: Callable[[], StoredSigningKey]) -> StoredSigningKeys:
        """The keys; where there are none yet, the one that `create_key` returns.

        If several workers start at once, all get the key of one of them. Raises `ValueError` if the stored keys cannot
        be read.
        """
        data = await self._store.get(store_keys.SIGNING_KEYS)
        if data is None:
            await self._store.put_new(store_keys.SIGNING_KEYS, encode(StoredSigningKeys((create_key(),))), None)
            data = await self._store.get(store_keys.SIGNING_KEYS)
        stored = decode(data, StoredSigningKeys)
        if stored is None:
            raise ValueError("The signing keys in the store cannot be read.")
        return stored

    async def replace_at_once(self, next_key: StoredSigningKey) -> StoredSigningKeys:
        """Replace all keys by this one, and tell every worker: what the others have signed is void."""
        keys = StoredSigningKeys((next_key,))
        await self._store.put(store_keys.SIGNING_KEYS, encode(keys), None)
        await self._store.publish(store_keys.ENDED_CHANNEL, store_keys.SIGNING_KEYS)
        return keys

    async def rotate(self, next_key: StoredSigningKey, *, forget_before: float) -> StoredSigningKeys:
        """Add a key. Drop those whose successor has signed since `forget_before` or earlier.

        `forget_before` is in seconds since the epoch. Raises `ValueError` if the stored keys cannot be read.
        """
        while True:
            data = await self._store.get(store_keys.SIGNING_KEYS)
            stored = decode(data, StoredSigningKeys)
            if data is None or stored is None:
                return await self.load(lambda: next_key)
            successors = (*stored.keys[1:], next_key)
            kept = [
                key
                for key, successor in zip(stored.keys, successors, strict=True)
                if successor.signs_from > forget_before
            ]
            rotated = StoredSigningKeys((*kept, next_key))
            if await self._store.replace(store_keys.SIGNING_KEYS, data, encode(rotated), None):
                return rotated
