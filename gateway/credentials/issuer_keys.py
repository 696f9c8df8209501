"""The public keys of an issuer: fetched or read from a file, cached, and loaded again when they change."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

from joserfc.jwk import Key

from gateway.credentials.jwk_set import JwkSet, parse_jwk_set
from gateway.credentials.token_refused import TokenRefused
from gateway.policy.reasons import Reason

DEFAULT_LIFETIME_SECONDS = 300.0
MIN_ISSUER_KEYS_LIFETIME_SECONDS = 10.0
MAX_ISSUER_KEYS_LIFETIME_SECONDS = 86400.0
# Invented key ids must not make the gateway flood the issuer with requests (edge case 77).
REFETCH_INTERVAL_SECONDS = 30.0
# How long stale keys are used while their issuer cannot be reached.
STALE_LIFETIME_SECONDS = 3600.0
# No new load so soon after a failed one.
RETRY_DELAY_SECONDS = 10.0

_log = logging.getLogger(__name__)
_MAX_AGE = re.compile(r'(?:^|[\s,])max-age="?(\d+)')
_NEVER = float("-inf")


class HttpDocument(Protocol):
    """What is needed of a response. `FetchedDocument` of `gateway.upstream` is one."""

    @property
    def status(self) -> int:
        """HTTP status code."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields by name in lower case."""

    @property
    def body(self) -> bytes:
        """The whole body."""


# Limited in time and size; raises any exception if the document cannot be fetched.
FetchDocument = Callable[[str], Awaitable[HttpDocument]]


class IssuerKeys:
    """The keys of one issuer, from a URL or a file."""

    def __init__(self, *, url: str | None, file: str | None, fetch: FetchDocument) -> None:
        """One of `url` and `file` is set."""
        self._url = url
        self._file = file
        self._fetch = fetch
        self._source = url or file
        self._keys = JwkSet(())
        self._body: bytes | None = None
        self._loaded_at = self._fresh_until = self._usable_until = _NEVER
        self._retry_after = self._refetch_after = _NEVER
        self._error: str | None = None
        self._loading: asyncio.Future[None] | None = None

    @property
    def loaded_at(self) -> float | None:
        """When the keys were last loaded, in seconds since the epoch; None if they have not been needed yet."""
        return None if self._loaded_at == _NEVER else self._loaded_at

    async def get_key(self, kid: str | None, algorithm: str, now: float) -> Key:
        """The key to verify with. `now` is in seconds since the epoch. Raises `TokenRefused`."""
        if now >= self._fresh_until:
            await self._load_once(now)
        if now >= self._usable_until:
            raise self._unavailable()
        key = self._keys.find(kid, algorithm)
        if key is None and await self._refetch(now):
            key = self._keys.find(kid, algorithm)
        if key is None and self._error is not None:
            # The issuer may have published the key since the last load, which is not known now.
            raise self._unavailable()
        if key is None:
            raise TokenRefused(Reason.TOKEN_KEY_UNKNOWN, "the issuer publishes no fitting key of that id")
        return key

    async def _refetch(self, now: float) -> bool:
        """Load again because a key is missing, but not too often. Return whether a load took place."""
        if self._loading is None:
            if self._loaded_at >= now or now < self._refetch_after:
                return False
            self._refetch_after = now + REFETCH_INTERVAL_SECONDS
        await self._load_once(now)
        return True

    async def _load_once(self, now: float) -> None:
        """Load once for all callers that wait, and not soon after a failure."""
        if self._loading is None:
            if now < self._retry_after:
                return
            self._loading = asyncio.ensure_future(self._load(now))
            self._loading.add_done_callback(self._on_load_done)
        await asyncio.shield(self._loading)

    def _on_load_done(self, _: asyncio.Future[None]) -> None:
        self._loading = None

    async def _load(self, now: float) -> None:
        try:
            body, lifetime = await self._read_document()
            if body != self._body:
                self._keys, self._body = parse_jwk_set(body), body
        except Exception as error:
            detail = f"{type(error).__name__}: {error}"[:200]
            if self._error is None:
                _log.warning("the keys of an issuer cannot be loaded", extra={"source": self._source, "detail": detail})
            self._error = detail
            self._retry_after = now + RETRY_DELAY_SECONDS
            return
        if self._error is not None:
            _log.info("the keys of an issuer can be loaded again", extra={"source": self._source})
        self._error = None
        self._loaded_at = now
        self._fresh_until = now + lifetime
        self._usable_until = self._fresh_until + STALE_LIFETIME_SECONDS

    async def _read_document(self) -> tuple[bytes, float]:
        if self._file is not None:
            return await asyncio.to_thread(Path(self._file).read_bytes), MIN_ISSUER_KEYS_LIFETIME_SECONDS
        assert self._url is not None
        document = await self._fetch(self._url)
        if document.status != 200:
            raise ValueError(f"status {document.status}")
        return document.body, cache_lifetime(document.headers)

    def _unavailable(self) -> TokenRefused:
        return TokenRefused(Reason.TOKEN_CHECK_UNAVAILABLE, f"the issuer's keys cannot be loaded: {self._error}")


def cache_lifetime(headers: Mapping[str, str]) -> float:
    """How many seconds a set is cached: the rest of its max-age, within bounds (RFC 9111).

    `no-store` and `no-cache` mean the shortest lifetime. Keycloak sends `no-cache`, which strictly would mean a fetch
    for every token.
    """
    control = headers.get("cache-control", "").lower()
    if "no-store" in control or "no-cache" in control:
        return MIN_ISSUER_KEYS_LIFETIME_SECONDS
    match = _MAX_AGE.search(control)
    if match is None:
        return DEFAULT_LIFETIME_SECONDS
    age = headers.get("age", "").strip()
    age_seconds = float(age[:12]) if age.isascii() and age.isdigit() else 0.0
    return min(
        max(float(match[1][:12]) - age_seconds, MIN_ISSUER_KEYS_LIFETIME_SECONDS), MAX_ISSUER_KEYS_LIFETIME_SECONDS
    )
