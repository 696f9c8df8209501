"""A client of the store is read once, and again when its entry has changed."""

import pytest

from gateway.settings.authorization.clients import ClientEntry
from gateway.smart_server.accounts.client_registry import ClientRegistry
from gateway.storage.accounts.registrations import Registrations
from gateway.storage.backends.memory_store import MemoryStore

ENTRY = {"client_id": "app", "name": "App", "redirect_uris": ["https://app.example/cb"], "scopes": "patient/*.rs"}


async def test_an_entry_is_read_again_only_when_it_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    validate = ClientEntry.model_validate

    def count(members: object) -> ClientEntry:
        read.append(members)
        return validate(members)

    monkeypatch.setattr(ClientEntry, "model_validate", count)
    registrations = Registrations(MemoryStore())
    registry = ClientRegistry((), registrations)
    await registrations.put_client("app", dict(ENTRY))
    clients = [await registry.find_enabled("app") for _ in range(5)]
    assert clients[0] is not None
    assert clients == [clients[0]] * 5
    assert len(read) == 1
    await registrations.put_client("app", {**ENTRY, "disabled": True})
    assert await registry.find_enabled("app") is None
    await registrations.put_client("app", {**ENTRY, "name": "Another"})
    changed = await registry.find_enabled("app")
    assert changed is not None
    assert changed.name == "Another"
    assert len(read) == 3


async def test_a_client_that_is_gone_is_not_found() -> None:
    registrations = Registrations(MemoryStore())
    registry = ClientRegistry((), registrations)
    await registrations.put_client("app", dict(ENTRY))
    assert await registry.find_any("app") is not None
    await registrations.remove_client("app")
    assert await registry.find_any("app") is None
