"""App state: what apps keep here for themselves (SMART App Launch 2.2, app-state).

All state of one system of codes about one subject is one value of the store, so that every change is one comparison
and replacement: limits hold exactly, and no update is lost, however many workers there are. The id of a resource begins
with the name of that value.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.record_encoding import decode, encode

_MAX_ATTEMPTS = 64
"""Each time somebody else was faster. One of those who try at once succeeds each time."""
_EMPTY_SECONDS = 60.0
_SLOT_LENGTH = 32
_ID = re.compile(rf"([0-9a-f]{{{_SLOT_LENGTH}}})-[0-9a-f]{{16,24}}")


class AppStateFullError(Exception):
    """The change would exceed a limit of the app's state about this subject."""


class AppStateContentionError(Exception):
    """Others changed the same state again and again meanwhile. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class StoredAppState:
    """One resource: its address as text, its version, and its content as JSON. `subject` is empty for global state."""

    state_id: str
    version: int
    system: str
    code: str
    subject: str
    content: msgspec.Raw


@dataclass(frozen=True, slots=True)
class AppStateLimits:
    """How much one system of codes may hold about one subject. `lifetime` is in seconds, from the last change."""

    max_resources: int
    max_total_bytes: int
    lifetime: float | None = None


_Slot = tuple[StoredAppState, ...]


class AppStates:
    """All app state. Every method may raise `StoreUnavailableError`."""

    def __init__(self, store: Store, limits: AppStateLimits) -> None:
        self._store = store
        self._limits = limits

    async def find(self, system: str, code: str, subject: str) -> _Slot:
        """The state with this code about the subject, the oldest first."""
        _, states = await self._read(_slot_name(system, subject))
        address = (system, code, subject)
        return tuple(state for state in states if (state.system, state.code, state.subject) == address)

    async def get(self, state_id: str) -> StoredAppState | None:
        """The state with this id."""
        match = _ID.fullmatch(state_id)
        if match is None:
            return None
        _, states = await self._read(match[1])
        return _find(states, state_id)

    async def create(self, state: StoredAppState) -> None:
        """Store a new state, whose id is of `new_id`. Raises `AppStateFullError` and `AppStateContentionError`."""
        await self._change(state.state_id, lambda states: (*states, state))

    async def update(self, state_id: str, version: int, content: Callable[[int], bytes]) -> StoredAppState | None:
        """Replace the content, and return the state; None if the version is not the current one any more.

        `content` gets the new version. Raises `AppStateFullError` and `AppStateContentionError`.
        """
        changed = _Found()

        def change(states: _Slot) -> _Slot | None:
            current = _find(states, state_id)
            if current is None or current.version != version:
                return None
            new = changed.state = replace(current, version=version + 1, content=msgspec.Raw(content(version + 1)))
            return tuple(new if state is current else state for state in states)

        return changed.state if await self._change(state_id, change) else None

    async def delete(self, state_id: str, version: int) -> bool:
        """Remove the state if it has this version, and return whether it had. Raises `AppStateContentionError`."""

        def change(states: _Slot) -> _Slot | None:
            current = _find(states, state_id)
            if current is None or current.version != version:
                return None
            return tuple(state for state in states if state is not current)

        return await self._change(state_id, change)

    async def _change(self, state_id: str, change: Callable[[_Slot], _Slot | None]) -> bool:
        """Replace all state of a slot by what `change` makes of it; False if that is None."""
        match = _ID.fullmatch(state_id)
        if match is None:
            return False
        key = store_keys.APP_STATE + match[1]
        for _ in range(_MAX_ATTEMPTS):
            data, states = await self._read(match[1])
            changed = change(states)
            if changed is None:
                return False
            value = encode(changed)
            if len(changed) > len(states) or len(value) > len(data or b""):
                self._check_room(changed, value)
            lifetime = self._limits.lifetime if changed else _EMPTY_SECONDS
            if data is None:
                is_done = await self._store.put_new(key, value, lifetime)
            else:
                is_done = await self._store.replace(key, data, value, lifetime)
            if is_done:
                return True
        raise AppStateContentionError

    def _check_room(self, states: _Slot, value: bytes) -> None:
        if len(states) > self._limits.max_resources or len(value) > self._limits.max_total_bytes:
            raise AppStateFullError

    async def _read(self, slot_name: str) -> tuple[bytes | None, _Slot]:
        data = await self._store.get(store_keys.APP_STATE + slot_name)
        return data, decode(data, _Slot) or ()


class _Found:
    """What a change found in its last attempt."""

    state: StoredAppState | None = None


def new_id(system: str, subject: str, random: str) -> str:
    """The id of a new state. `random` is 16 to 24 hexadecimal digits that nobody has used before."""
    return f"{_slot_name(system, subject)}-{random}"


def _slot_name(system: str, subject: str) -> str:
    return hashlib.sha256(f"{system}\n{subject}".encode()).hexdigest()[:_SLOT_LENGTH]


def _find(states: _Slot, state_id: str) -> StoredAppState | None:
    return next((state for state in states if state.state_id == state_id), None)
