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


@dataclass(frozen=True, slots=True)
class Opening:
    """The way of a user's browser past us to the app: the handle of the launch, and where the app is opened."""

    handle: str
    location: str


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

    async def put_opening(self, name: str, opening: Opening, lifetime: float) -> None:
        """Remember the way to the app under a name that the app is never told. `lifetime` is in seconds."""
        await self._store.put(_opening_key(name), encode(opening), lifetime)

    async def take_opening(self, name: str) -> Opening | None:
        """The way to the app, to one taker only."""
        return decode(await self._store.take(_opening_key(name)), Opening)

    async def bind(self, handle: str, browser: str, lifetime: float) -> None:
        """Remember whose launch it is: `browser` is the digest of that browser's cookie."""
        await self._store.put(_browser_key(handle), browser.encode(), lifetime)

    async def browser_of(self, handle: str) -> str:
        """The browser that the launch is bound to; empty where it is to none."""
        return (await self._store.get(_browser_key(handle)) or b"").decode()


def _key(handle: str) -> str:
    return f"launch:{digest(handle)}"


def _opening_key(name: str) -> str:
    return f"launch-opening:{digest(name)}"


def _browser_key(handle: str) -> str:
    return f"launch-browser:{digest(handle)}"
