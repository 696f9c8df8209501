"""An issuer's public keys as they come and go: fetched or read, kept as long as the issuer says, asked for anew."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

from joserfc.jwk import Key

from gateway.keys.key_set import KeySet, read_key_set
from gateway.keys.refused import TokenRefused
from gateway.policy.reasons import Reason

DEFAULT_LIFETIME = 300.0
SHORTEST_LIFETIME = 10.0
LONGEST_LIFETIME = 86400.0
# An attacker who makes up key ids must not make us a tool against the issuer (edge case 77).
REFETCH_INTERVAL = 30.0
# How long after the end of their life keys may serve on while their issuer cannot be reached.
STALE_LIFETIME = 3600.0
# After a failure, how long nobody tries again.
PAUSE = 10.0

_MAX_AGE = re.compile(r'(?:^|[\s,])max-age="?(\d+)')
_NEVER = float("-inf")


class Document(Protocol):
    """A fetched document, as the `upstream` room gives it; header names are in lower case."""

    @property
    def status(self) -> int:
        """HTTP status code."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields by name."""

    @property
    def body(self) -> bytes:
        """The whole body."""


# Bounded in time and size; raises any exception where the document cannot be had.
Fetch = Callable[[str], Awaitable[Document]]


class JwksSource:
    """The keys of one issuer, from a URL or a file."""

    def __init__(self, *, url: str | None, file: str | None, fetch: Fetch) -> None:
        """One of `url` and `file` is set."""
        self._url = url
        self._file = file
        self._fetch = fetch
        self._keys = KeySet(())
        self._body: bytes | None = None
        self._loaded_at = self._fresh_until = self._usable_until = _NEVER
        self._try_after = self._refetch_after = _NEVER
        self._problem: str | None = None
        self._loading: asyncio.Future[None] | None = None

    async def key(self, kid: str | None, algorithm: str, now: float) -> Key:
        """The key to verify with. `now` is in seconds since the epoch. Raises `TokenRefused`."""
        if now >= self._fresh_until:
            await self._load_once(now)
        if now >= self._usable_until:
            raise self._unavailable()
        found = self._keys.find(kid, algorithm)
        if found is None and await self._loaded_anew(now):
            found = self._keys.find(kid, algorithm)
        if found is None and self._problem is not None:
            # The key may be one that the issuer has made since: nobody can tell now.
            raise self._unavailable()
        if found is None:
            raise TokenRefused(Reason.TOKEN_KEY_UNKNOWN, "the issuer publishes no fitting key of that id")
        return found

    async def _loaded_anew(self, now: float) -> bool:
        """Load again for a key that is missing, seldom; a load that is under way serves as well."""
        if self._loading is None:
            if self._loaded_at >= now or now < self._refetch_after:
                return False
            self._refetch_after = now + REFETCH_INTERVAL
        await self._load_once(now)
        return True

    async def _load_once(self, now: float) -> None:
        """One load for all who wait, and none soon after a failure."""
        if self._loading is None:
            if now < self._try_after:
                return
            self._loading = asyncio.ensure_future(self._load(now))
            self._loading.add_done_callback(self._ended)
        await asyncio.shield(self._loading)

    def _ended(self, _: asyncio.Future[None]) -> None:
        self._loading = None

    async def _load(self, now: float) -> None:
        try:
            body, lifetime = await self._document()
            if body != self._body:
                self._keys, self._body = read_key_set(body), body
        except Exception as error:
            self._problem = f"{type(error).__name__}: {error}"[:200]
            self._try_after = now + PAUSE
            return
        self._problem = None
        self._loaded_at = now
        self._fresh_until = now + lifetime
        self._usable_until = self._fresh_until + STALE_LIFETIME

    async def _document(self) -> tuple[bytes, float]:
        if self._file is not None:
            return await asyncio.to_thread(Path(self._file).read_bytes), SHORTEST_LIFETIME
        assert self._url is not None
        document = await self._fetch(self._url)
        if document.status != 200:
            raise ValueError(f"status {document.status}")
        return document.body, lifetime_of(document.headers)

    def _unavailable(self) -> TokenRefused:
        return TokenRefused(Reason.TOKEN_CHECK_UNAVAILABLE, f"the issuer's keys cannot be had: {self._problem}")


def lifetime_of(headers: Mapping[str, str]) -> float:
    """Seconds to keep a set: what is left of its max-age, within bounds; `no-store` as short as may be (RFC 9111).

    `no-cache`, as Keycloak sends it, asks for a check before each use; that would be a fetch per token.
    """
    control = headers.get("cache-control", "").lower()
    if "no-store" in control or "no-cache" in control:
        return SHORTEST_LIFETIME
    match = _MAX_AGE.search(control)
    if match is None:
        return DEFAULT_LIFETIME
    age = headers.get("age", "").strip()
    spent = float(age[:12]) if age.isascii() and age.isdigit() else 0.0
    return min(max(float(match[1][:12]) - spent, SHORTEST_LIFETIME), LONGEST_LIFETIME)
