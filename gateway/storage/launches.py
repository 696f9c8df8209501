"""EHR launches that wait for their app: a handle each, for one app, for one use, for minutes (E-9)."""

from dataclasses import dataclass

from gateway.oauth.authorization import User
from gateway.oauth.launch_context import LaunchContext
from gateway.storage.handles import digest
from gateway.storage.records import decode, encode
from gateway.storage.store import Store


@dataclass(frozen=True, slots=True)
class Launch:
    """What a launcher said. `user` is whom the launch is for; `vouched` lets the app in without another login."""

    client_id: str
    context: LaunchContext
    launcher: str
    launched_at: float
    user: User | None = None
    vouched: bool = False
    patient_name: str = ""


class Launches:
    """All launches that wait."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, handle: str, launch: Launch, lifetime: float) -> None:
        """Remember what a launch is about. `lifetime` is in seconds."""
        await self._store.put(_key(handle), encode(launch), lifetime)

    async def take(self, handle: str) -> Launch | None:
        """The launch, to one taker only (edge case 29)."""
        return decode(await self._store.take(_key(handle)), Launch)


def _key(handle: str) -> str:
    return f"launch:{digest(handle)}"
