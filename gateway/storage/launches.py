"""EHR launches that wait for their app: each is for one app, for one use and for minutes (E-9)."""

from dataclasses import dataclass

from gateway.oauth.authorization import User
from gateway.oauth.launch_context import LaunchContext
from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.batches import run_in_batches
from gateway.storage.record_encoding import decode, encode
from gateway.storage.tokens.opaque_tokens import digest


@dataclass(frozen=True, slots=True)
class Launch:
    """What the launcher said.

    `user` is the user that the launch is for; `vouched` means that this user needs no other login. `launched_at` is in
    seconds since the epoch.
    """

    client_id: str
    context: LaunchContext
    launcher: str
    launched_at: float
    user: User | None = None
    vouched: bool = False
    patient_name: str = ""


@dataclass(frozen=True, slots=True)
class WaitingLaunch:
    """A launch that its app has not taken yet, and how many seconds it has left."""

    launch: Launch
    seconds_left: float


@dataclass(frozen=True, slots=True)
class LaunchRedirect:
    """Where a browser goes that opens an app by way of the gateway.

    `handle` is the launch token, which the app gets as its `launch` parameter; `location` is the URL of the app.
    """

    handle: str
    location: str


class Launches:
    """All launches that wait for their app."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, launch_token: str, launch: Launch, lifetime: float) -> None:
        """Store a launch for `lifetime` seconds."""
        await self._store.add_member(store_keys.OPEN_LAUNCHES, digest(launch_token), lifetime)
        await self._store.put(_key(launch_token), encode(launch), lifetime)

    async def take(self, launch_token: str) -> Launch | None:
        """The launch. Of several callers, only one gets it (edge case 29)."""
        return decode(await self._store.take(_key(launch_token)), Launch)

    async def list_waiting(self) -> list[WaitingLaunch]:
        """The launches that wait for their app, in no order."""
        found = await run_in_batches(self._find_waiting, await self._store.members(store_keys.OPEN_LAUNCHES))
        return [waiting for waiting in found if waiting is not None]

    async def _find_waiting(self, token_digest: str) -> WaitingLaunch | None:
        key = store_keys.LAUNCH + token_digest
        launch = decode(await self._store.get(key), Launch)
        return None if launch is None else WaitingLaunch(launch, await self._store.lifetime_left(key) or 0.0)

    async def put_redirect(self, redirect_token: str, redirect: LaunchRedirect, lifetime: float) -> None:
        """Store a redirect for `lifetime` seconds. The app never sees `redirect_token`."""
        await self._store.put(_redirect_key(redirect_token), encode(redirect), lifetime)

    async def take_redirect(self, redirect_token: str) -> LaunchRedirect | None:
        """The redirect. Of several callers, only one gets it."""
        return decode(await self._store.take(_redirect_key(redirect_token)), LaunchRedirect)

    async def bind_browser(self, launch_token: str, browser_digest: str, lifetime: float) -> None:
        """Bind the launch to a browser for `lifetime` seconds. `browser_digest` is the digest of its cookie."""
        await self._store.put(_browser_key(launch_token), browser_digest.encode(), lifetime)

    async def get_browser(self, launch_token: str) -> str:
        """The cookie digest of the browser that the launch is bound to; empty if it is bound to none."""
        return (await self._store.get(_browser_key(launch_token)) or b"").decode()


def _key(launch_token: str) -> str:
    return store_keys.LAUNCH + digest(launch_token)


def _redirect_key(redirect_token: str) -> str:
    return store_keys.LAUNCH_REDIRECT + digest(redirect_token)


def _browser_key(launch_token: str) -> str:
    return store_keys.LAUNCH_BROWSER + digest(launch_token)
