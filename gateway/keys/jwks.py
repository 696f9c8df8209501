"""An issuer's public keys: fetched or read, kept as long as the issuer says, refreshed once for an unknown key."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from gateway.keys.refused import TokenRefused
from gateway.policy.reasons import Reason

DEFAULT_LIFETIME = 300.0
SHORTEST_LIFETIME = 10.0
LONGEST_LIFETIME = 86400.0
# An attacker who makes up key ids must not make us a tool against the issuer (edge case 77).
REFETCH_INTERVAL = 30.0
# How long keys may serve on while their issuer cannot be reached.
STALE_LIFETIME = 3600.0
SMALLEST_RSA = 2048

_MAX_AGE = re.compile(r"max-age=(\d{1,9})")
_KEY_TYPES: Mapping[str, tuple[str, str | None]] = {
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", None),
}


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


Fetch = Callable[[str], Awaitable[Document]]


class JwksSource:
    """The keys of one issuer, from a URL or a file."""

    def __init__(self, *, url: str | None, file: str | None, fetch: Fetch) -> None:
        """`fetch` raises any exception where the document cannot be had."""
        self._url = url
        self._file = file
        self._fetch = fetch
        self._keys: dict[str | None, Key] = {}
        self._fetched_at = float("-inf")
        self._expires_at = float("-inf")
        self._refetched_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str | None, algorithm: str, now: float) -> Key:
        """The key to verify with. `now` is in seconds since the epoch. Raises `TokenRefused`."""
        if now >= self._expires_at:
            await self._refresh(now, self._fetched_at)
        found = self._find(kid, algorithm)
        if found is None and now - self._refetched_at >= REFETCH_INTERVAL and self._fetched_at < now:
            seen = self._fetched_at
            self._refetched_at = now
            await self._refresh(now, seen)
            found = self._find(kid, algorithm)
        if found is None:
            raise TokenRefused(Reason.TOKEN_KEY_UNKNOWN, "the issuer publishes no fitting key of that id")
        return found

    def _find(self, kid: str | None, algorithm: str) -> Key | None:
        fitting = {name: key for name, key in self._keys.items() if _fits(key, algorithm)}
        if kid is not None:
            return fitting.get(kid)
        return next(iter(fitting.values())) if len(fitting) == 1 else None

    async def _refresh(self, now: float, seen: float) -> None:
        """Load the set again, once for all who wait. `seen` is when the set that did not suffice was loaded."""
        async with self._lock:
            if self._fetched_at != seen:
                return
            try:
                body, lifetime = await self._load()
                self._keys = read_keys(body)
            except Exception as error:
                if now - self._fetched_at > STALE_LIFETIME:
                    raise TokenRefused(Reason.TOKEN_CHECK_UNAVAILABLE, f"the issuer's keys: {error}") from error
                self._expires_at = now + SHORTEST_LIFETIME
                return
            self._fetched_at = now
            self._expires_at = now + lifetime

    async def _load(self) -> tuple[bytes, float]:
        if self._file is not None:
            return await asyncio.to_thread(Path(self._file).read_bytes), SHORTEST_LIFETIME
        assert self._url is not None
        document = await self._fetch(self._url)
        if document.status != 200:
            raise ValueError(f"status {document.status}")
        return document.body, _lifetime(document.headers.get("cache-control", ""))


def _lifetime(cache_control: str) -> float:
    """Seconds to keep a set: its max-age within bounds; `no-store` as short as may be."""
    if "no-store" in cache_control or "no-cache" in cache_control:
        return SHORTEST_LIFETIME
    match = _MAX_AGE.search(cache_control)
    return min(max(float(match[1]), SHORTEST_LIFETIME), LONGEST_LIFETIME) if match else DEFAULT_LIFETIME


def read_keys(body: bytes) -> dict[str | None, Key]:
    """The keys of a JWKS that may verify, by id. A doubtful key is left out, never guessed at.

    Left out: symmetric keys, keys for encryption (Keycloak publishes one), ids that two different keys share, RSA
    below 2048 bits. Raises `ValueError` where the document is no JWKS.
    """
    document = orjson.loads(body)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("the document is not a JWKS")
    found: dict[str | None, Key] = {}
    doubtful: set[str | None] = set()
    for member in listed:
        key = _key(member) if isinstance(member, dict) else None
        if key is None:
            continue
        kid = member.get("kid")
        if kid in found and found[kid].thumbprint() != key.thumbprint():
            doubtful.add(kid)
        found[kid] = key
    return {kid: key for kid, key in found.items() if kid not in doubtful}


def _key(member: dict[str, Any]) -> Key | None:
    operations = member.get("key_ops")
    if member.get("use", "sig") != "sig" or (isinstance(operations, list) and "verify" not in operations):
        return None
    if not isinstance(member.get("kid"), str | None):
        return None
    public = {name: value for name, value in member.items() if name in {"kty", "kid", "alg", "n", "e", "crv", "x", "y"}}
    try:
        match public.get("kty"):
            case "RSA":
                rsa = RSAKey.import_key(public)
                return rsa if rsa.raw_value.key_size >= SMALLEST_RSA else None
            case "EC":
                return ECKey.import_key(public)
            case "OKP":
                return OKPKey.import_key(public)
            case _:
                return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _fits(key: Key, algorithm: str) -> bool:
    """Whether the key is of the algorithm's type and, for curves, of its curve (RFC 7518 3)."""
    key_type, curve = _KEY_TYPES.get(algorithm, ("RSA", None))
    if key.key_type != key_type or key.get("alg", algorithm) != algorithm:
        return False
    return curve is None or key.get("crv") == curve
