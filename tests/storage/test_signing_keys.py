"""The signing keys are created once for all workers, and dropped when no token needs them."""

import asyncio

import pytest

from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.store import Store
from gateway.storage.signing_keys import SigningKeyStore, StoredSigningKey


class TestSigningKeys:
    async def test_of_many_workers_that_begin_at_once_one_makes_the_key(self, store: Store) -> None:
        keys = SigningKeyStore(store)
        numbers = iter(range(100))

        def make() -> StoredSigningKey:
            return StoredSigningKey(f"key-{next(numbers)}", 0.0)

        loaded = await asyncio.gather(*(keys.load(make) for _ in range(10)))
        assert len(set(loaded)) == 1
        assert len(loaded[0].keys) == 1

    async def test_of_many_that_rotate_at_once_no_key_is_lost(self, store: Store) -> None:
        keys = SigningKeyStore(store)
        await keys.load(lambda: StoredSigningKey("first", 0.0))
        await asyncio.gather(*(keys.rotate(StoredSigningKey(f"{n}", 100.0 + n), forget_before=0.0) for n in range(5)))
        last = await keys.load(lambda: StoredSigningKey("never", 0.0))
        assert {key.jwk for key in last.keys} == {"first", "0", "1", "2", "3", "4"}

    async def test_a_key_is_forgotten_when_its_successor_has_signed_for_as_long_as_its_tokens_live(self) -> None:
        keys = SigningKeyStore(MemoryStore())
        await keys.load(lambda: StoredSigningKey("a", 0.0))
        await keys.rotate(StoredSigningKey("b", 100.0), forget_before=-3500.0)
        stored = await keys.rotate(StoredSigningKey("c", 3800.0), forget_before=99.0)
        assert [key.jwk for key in stored.keys] == ["a", "b", "c"]
        stored = await keys.rotate(StoredSigningKey("d", 7400.0), forget_before=100.0)
        assert [key.jwk for key in stored.keys] == ["b", "c", "d"]

    async def test_the_only_key_is_never_forgotten(self) -> None:
        keys = SigningKeyStore(MemoryStore())
        stored = await keys.rotate(StoredSigningKey("a", 100.0), forget_before=1e9)
        assert [key.jwk for key in stored.keys] == ["a"]
        stored = await keys.rotate(StoredSigningKey("b", 200.0), forget_before=1e9)
        assert "b" in [key.jwk for key in stored.keys]

    async def test_keys_that_cannot_be_read_are_not_replaced_in_silence(self) -> None:
        store = MemoryStore()
        keys = SigningKeyStore(store)
        await store.put("signing-keys", b"{", None)
        with pytest.raises(ValueError, match="cannot be read"):
            await keys.load(lambda: StoredSigningKey("a", 0.0))
        with pytest.raises(ValueError, match="cannot be read"):
            await keys.rotate(StoredSigningKey("a", 0.0), forget_before=0.0)
