"""The gateway's own paging links: short ones hold the sealed page, and long ones a key under which it is stored."""

from dataclasses import replace
from typing import Protocol

from gateway.asgi.refusal import RequestRefused
from gateway.policy.paging_link import SealedPage, Sealer, text_limit
from gateway.policy.permission.access import Access
from gateway.policy.reasons import Reason
from gateway.storage.backends.store import StoreUnavailableError

# Servers, proxies and browsers follow links of this length, whatever else they refuse.
MAX_LINK = 2047
# No handle that holds its page begins with it.
_STORED_MARK = "~"
# Into so many parts the lifetime is divided. The same page that is linked twice in one part is stored once.
_PARTS_OF_LIFETIME = 8


class PageStore(Protocol):
    """Keeps sealed pages. Both methods raise `StoreUnavailableError`."""

    async def put(self, value: bytes, lifetime: float) -> str:
        """Keep the value for `lifetime` seconds, and return its key of URL-safe characters."""

    async def get(self, key: str) -> bytes | None:
        """The value; None if there is none, or no longer."""


class SealedLinks:
    """Makes and opens the gateway's paging links. None is longer than `MAX_LINK`, unless the public base is."""

    def __init__(self, sealer: Sealer, store: PageStore, *, public_base: str, lifetime: int) -> None:
        """`lifetime` is in seconds."""
        self._sealer = sealer
        self._store = store
        self._public_base = public_base
        self._start = f"{public_base}/?_page="
        self._max_text = text_limit(MAX_LINK - len(self._start))
        self._lifetime = lifetime
        self._part = max(1, lifetime // _PARTS_OF_LIFETIME)

    def public_link(self, path: str, query: str) -> str | None:
        """The plain link to a request; None if it is too long."""
        link = f"{self._public_base}{path}?{query}" if query else self._public_base + path
        return link if len(link) <= MAX_LINK else None

    def short_link(self, page: SealedPage, access: Access) -> str | None:
        """A link that holds the page; None if it is too long."""
        handle = self._sealer.seal_within(self._max_text, page, access)
        return None if handle is None else self._start + handle

    async def stored_link(self, page: SealedPage, access: Access) -> str:
        """A link to the page in the store. Raises `RequestRefused`."""
        # Rounded, so that an app that repeats its search does not fill the store.
        expires_at = -(-page.expires_at // self._part) * self._part
        lifetime = self._lifetime + expires_at - page.expires_at
        sealed = self._sealer.seal_for_store(replace(page, expires_at=expires_at), access)
        try:
            key = await self._store.put(sealed, lifetime)
        except StoreUnavailableError as error:
            raise RequestRefused(Reason.PAGE_STORE_UNAVAILABLE) from error
        return self._start + _STORED_MARK + key

    async def open(self, handle: str, access: Access, now: float) -> SealedPage | None:
        """The page of a link, if it was made for the same grant. `now` is in epoch seconds. Raises `RequestRefused`."""
        if not handle.startswith(_STORED_MARK):
            return self._sealer.open(handle, access, now)
        try:
            sealed = await self._store.get(handle.removeprefix(_STORED_MARK))
        except StoreUnavailableError as error:
            raise RequestRefused(Reason.PAGE_STORE_UNAVAILABLE) from error
        return None if sealed is None else self._sealer.open_stored(sealed, access, now)

    def expiry(self, now: float) -> int:
        """When a link that is made now ends, in epoch seconds."""
        return int(now) + self._lifetime
