"""The public keys of registered clients: registered by value, or fetched and cached as long as the client permits."""

import asyncio
import functools
import logging
import re
from collections import OrderedDict
from collections.abc import Mapping

import orjson
from joserfc.jwk import Key

from gateway.credentials.issuer_keys import DEFAULT_LIFETIME_SECONDS, REFETCH_INTERVAL_SECONDS, FetchDocument
from gateway.credentials.jwk_set import JwkSet, parse_jwk_set
from gateway.oauth.client.client import Client
from gateway.oauth.client.client_assertion_rules import AssertionRefused

# A key that a client withdraws is trusted for no longer than this, whatever its server permitted before.
MAX_CLIENT_KEYS_LIFETIME_SECONDS = 3600.0
# No new fetch so soon after a failed one.
RETRY_DELAY_SECONDS = 5.0
MAX_CACHED_KEY_SETS = 1000

_DIRECTIVE = re.compile(r"([^\s,;=\"]+)(?:\s*=\s*(\"[^\"]*\"|[^\s,;]*))?")
_NEVER = float("-inf")
_log = logging.getLogger(__name__)


class ClientKeysUnavailable(AssertionRefused):
    """The keys cannot be fetched from the client's `jwks_uri`, so that nothing can be said of the assertion."""


class ClientKeys:
    """Finds the key of a client that an assertion names."""

    def __init__(self, fetch: FetchDocument, *, max_cached: int = MAX_CACHED_KEY_SETS) -> None:
        """`fetch` must refuse addresses inside the operator's network, because clients choose their `jwks_uri` (CA-15).

        `max_cached` limits the key sets of each kind; the least recently used one is dropped first.
        """
        self._fetch = fetch
        self._max_cached = max_cached
        self._sources: OrderedDict[str, _ClientJwksSource] = OrderedDict()
        self._parse_registered = functools.lru_cache(maxsize=max_cached)(parse_jwk_set)

    async def get_key(self, client: Client, kid: str, algorithm: str, now: float) -> Key:
        """The only key with that id whose type and curve fit the algorithm (CA-9, edge case 68).

        `now` is in seconds since the epoch. Raises `AssertionRefused` (CA-12).
        """
        if client.jwks_uri is not None:
            return await self._source(client.jwks_uri).get_key(kid, algorithm, now)
        try:
            # A registered set may be a read-only mapping, which is not hashable; its bytes are the cache key.
            keys = self._parse_registered(orjson.dumps(client.jwks, default=dict))
        except (ValueError, TypeError) as error:
            raise AssertionRefused(f"the client's keys cannot be read: {error}"[:200]) from error
        return _require_key(keys.find(kid, algorithm))

    def _source(self, url: str) -> "_ClientJwksSource":
        source = self._sources.get(url)
        if source is None:
            source = self._sources[url] = _ClientJwksSource(url, self._fetch)
            if len(self._sources) > self._max_cached:
                self._sources.popitem(last=False)
        self._sources.move_to_end(url)
        return source


class _ClientJwksSource:
    """The keys at one URL, which are never used after they are stale (CA-11, edge case 76)."""

    def __init__(self, url: str, fetch: FetchDocument) -> None:
        self._url = url
        self._fetch = fetch
        self._keys = JwkSet(())
        self._fresh_until = self._retry_after = self._refetch_after = _NEVER
        self._error = ""
        self._loading: asyncio.Future[JwkSet | None] | None = None

    async def get_key(self, kid: str, algorithm: str, now: float) -> Key:
        is_fresh = now < self._fresh_until
        keys = self._keys if is_fresh else await self._load_once(now)
        key = keys.find(kid, algorithm)
        # The key may be newer than the set. Invented key ids must not cause endless fetches (edge case 77).
        if key is None and is_fresh and (self._loading is not None or now >= self._refetch_after):
            if self._loading is None:
                self._refetch_after = now + REFETCH_INTERVAL_SECONDS
            key = (await self._load_once(now)).find(kid, algorithm)
        return _require_key(key)

    async def _load_once(self, now: float) -> JwkSet:
        """Fetch the keys: once for all callers that wait, and not soon after a failure."""
        if self._loading is None and now >= self._retry_after:
            self._loading = asyncio.ensure_future(self._load(now))
            self._loading.add_done_callback(self._on_load_done)
        # A caller that is cancelled must not cancel the fetch of the others.
        keys = None if self._loading is None else await asyncio.shield(self._loading)
        if keys is None:
            raise ClientKeysUnavailable(f"the client's keys cannot be fetched: {self._error}")
        return keys

    def _on_load_done(self, _: object) -> None:
        self._loading = None

    async def _load(self, now: float) -> JwkSet | None:
        try:
            document = await self._fetch(self._url)
            if document.status != 200:
                raise ValueError(f"status {document.status}")
            keys = parse_jwk_set(document.body)
        except Exception as error:
            detail = f"{type(error).__name__}: {error}"[:200]
            if not self._error:
                _log.warning("the keys of a client cannot be fetched", extra={"source": self._url, "detail": detail})
            self._error = detail
            self._retry_after = now + RETRY_DELAY_SECONDS
            return None
        if self._error:
            _log.info("the keys of a client can be fetched again", extra={"source": self._url})
        self._error = ""
        self._keys = keys
        self._fresh_until = now + permitted_lifetime(document.headers)
        return keys


def _require_key(key: Key | None) -> Key:
    if key is None:
        raise AssertionRefused("the client has no single key of that kid that fits the alg")
    return key


def permitted_lifetime(headers: Mapping[str, str]) -> float:
    """How many seconds a set may be cached: never longer than Cache-Control permits (CA-11, CA-14, RFC 9111 5.2.2).

    0 means that only the callers that waited for it may use it. An invalid `max-age` counts as 0.
    """
    cache_control = headers.get("cache-control", "")
    directives = [(name.lower(), value.strip('"')) for name, value in _DIRECTIVE.findall(cache_control)]
    names = {name for name, _ in directives}
    if not names.isdisjoint({"no-store", "no-cache"}):
        return 0.0
    max_ages = [_parse_seconds(value) for name, value in directives if name in {"max-age", "s-maxage"}]
    if max_ages:
        age_seconds = _parse_seconds(headers["age"].strip()) if "age" in headers else 0.0
        return max(0.0, min(*max_ages, MAX_CLIENT_KEYS_LIFETIME_SECONDS) - age_seconds)
    # The older headers, without Cache-Control, are so rare that they are read as "do not cache".
    if "expires" in headers or "no-cache" in headers.get("pragma", "").lower():
        return 0.0
    return DEFAULT_LIFETIME_SECONDS


def _parse_seconds(text: str) -> float:
    return float(text[:12]) if text.isascii() and text.isdigit() else 0.0
