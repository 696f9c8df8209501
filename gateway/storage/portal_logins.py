"""Logins at an OpenID provider for the gateway's own pages, such as the list of granted access."""

from dataclasses import dataclass

from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.record_encoding import decode, encode
from gateway.storage.tokens.opaque_tokens import digest

_LIFETIME_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class PortalLogin:
    """A browser that was sent to a provider.

    `browser` is the digest of its cookie, `target` the page that it returns to, `nonce` and `verifier` those of the
    authorization request (OpenID Connect and PKCE).
    """

    browser: str
    target: str
    provider_index: int
    nonce: str
    verifier: str


class PortalLogins:
    """All logins in progress, by the `state` of their authorization request."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, state: str, login: PortalLogin) -> None:
        """Store a login for 15 minutes."""
        await self._store.put(_key(state), encode(login), _LIFETIME_SECONDS)

    async def take(self, state: str) -> PortalLogin | None:
        """The login. Of several callers, only one gets it."""
        return decode(await self._store.take(_key(state)), PortalLogin)


def _key(state: str) -> str:
    return store_keys.PORTAL_LOGIN + digest(state)
