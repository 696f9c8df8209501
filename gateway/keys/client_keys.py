"""The public keys of registered clients: given by value, or fetched and never kept longer than their owner permits."""

import asyncio
import functools
import re
from collections import OrderedDict
from collections.abc import Mapping

import orjson
from joserfc.jwk import Key

from gateway.keys.jwks import DEFAULT_LIFETIME, REFETCH_INTERVAL, Fetch
from gateway.keys.key_set import KeySet, read_key_set
from gateway.oauth.assertion import AssertionRefused
from gateway.oauth.client import Client

# A key that a client takes back is believed no longer than this, whatever its server said before.
LONGEST_LIFETIME = 3600.0
# After a failed fetch, how long nobody tries again.
PAUSE = 5.0
REMEMBERED = 1000

_DIRECTIVE = re.compile(r"([^\s,;=\"]+)(?:\s*=\s*(\"[^\"]*\"|[^\s,;]*))?")
_NEVER = float("-inf")


class ClientKeys:
    """Finds the one key of a client that an assertion names."""

    def __init__(self, fetch: Fetch, *, remembered: int = REMEMBERED) -> None:
        """`fetch` must guard against addresses inside our own network (CA-15): clients choose their `jwks_uri`.

        `remembered` is how many key sets of each kind are kept; the one unused for longest goes first.
        """
        self._fetch = fetch
        self._remembered = remembered
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._inline = functools.lru_cache(maxsize=remembered)(read_key_set)

    async def key(self, client: Client, kid: str, algorithm: str, now: float) -> Key:
        """The single key of that id whose type and curve are the algorithm's (CA-9, edge case 68).

        `now` is in seconds since the epoch. Raises `AssertionRefused`, also where the keys cannot be had (CA-12).
        """
        if client.jwks_uri is not None:
            return await self._source(client.jwks_uri).key(kid, algorithm, now)
        try:
            # A registered set may be a read-only mapping; the bytes are what it is remembered by.
            keys = self._inline(orjson.dumps(client.jwks, default=dict))
        except (ValueError, TypeError) as error:
            raise AssertionRefused(f"the client's keys cannot be read: {error}"[:200]) from error
        return _single(keys.find(kid, algorithm))

    def _source(self, url: str) -> "_Source":
        source = self._sources.get(url)
        if source is None:
            source = self._sources[url] = _Source(url, self._fetch)
            if len(self._sources) > self._remembered:
                self._sources.popitem(last=False)
        self._sources.move_to_end(url)
        return source


class _Source:
    """One address. Its keys serve while they are fresh and not a moment longer (CA-11, edge case 76)."""

    def __init__(self, url: str, fetch: Fetch) -> None:
        self._url = url
        self._fetch = fetch
        self._keys = KeySet(())
        self._fresh_until = self._try_after = self._refetch_after = _NEVER
        self._problem = ""
        self._loading: asyncio.Future[KeySet | None] | None = None

    async def key(self, kid: str, algorithm: str, now: float) -> Key:
        fresh = now < self._fresh_until
        keys = self._keys if fresh else await self._loaded(now)
        found = keys.find(kid, algorithm)
        # A key may be newer than the set; whoever makes up key ids must not make us fetch without end (edge case 77).
        if found is None and fresh and (self._loading is not None or now >= self._refetch_after):
            if self._loading is None:
                self._refetch_after = now + REFETCH_INTERVAL
            found = (await self._loaded(now)).find(kid, algorithm)
        return _single(found)

    async def _loaded(self, now: float) -> KeySet:
        """The keys as they are now: one fetch for all who wait, and none soon after a failure."""
        if self._loading is None and now >= self._try_after:
            self._loading = asyncio.ensure_future(self._load(now))
            self._loading.add_done_callback(self._ended)
        # Who goes away does not take the fetch along.
        keys = None if self._loading is None else await asyncio.shield(self._loading)
        if keys is None:
            raise AssertionRefused(f"the client's keys cannot be had: {self._problem}")
        return keys

    def _ended(self, _: object) -> None:
        self._loading = None

    async def _load(self, now: float) -> KeySet | None:
        try:
            document = await self._fetch(self._url)
            if document.status != 200:
                raise ValueError(f"status {document.status}")
            keys = read_key_set(document.body)
        except Exception as error:
            self._problem = f"{type(error).__name__}: {error}"[:200]
            self._try_after = now + PAUSE
            return None
        self._keys = keys
        self._fresh_until = now + permitted_lifetime(document.headers)
        return keys


def _single(found: Key | None) -> Key:
    if found is None:
        raise AssertionRefused("the client has no single key of that kid that fits the alg")
    return found


def permitted_lifetime(headers: Mapping[str, str]) -> float:
    """Seconds that a set may be kept, never more than its Cache-Control permits (CA-11, CA-14, RFC 9111 5.2.2).

    0 means that it serves those who waited for it and nobody else. A `max-age` that cannot be read is 0.
    """
    control = headers.get("cache-control", "")
    directives = [(name.lower(), value.strip('"')) for name, value in _DIRECTIVE.findall(control)]
    names = {name for name, _ in directives}
    if not names.isdisjoint({"no-store", "no-cache"}):
        return 0.0
    ages = [_seconds(value) for name, value in directives if name in {"max-age", "s-maxage"}]
    if ages:
        spent = _seconds(headers["age"].strip()) if "age" in headers else 0.0
        return max(0.0, min(*ages, LONGEST_LIFETIME) - spent)
    # The older ways to forbid or bound it, alone, are rare enough to take them for the strictest.
    if "expires" in headers or "no-cache" in headers.get("pragma", "").lower():
        return 0.0
    return DEFAULT_LIFETIME


def _seconds(text: str) -> float:
    return float(text[:12]) if text.isascii() and text.isdigit() else 0.0
