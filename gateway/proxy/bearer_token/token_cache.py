"""Caches the results of token checks: bounded, never beyond a token's expiry, and without the tokens themselves."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

from gateway.credentials.token_refused import TokenRefused
from gateway.policy.permission.access import Access


def fingerprint(token: bytes) -> bytes:
    """The digest that stands for a token, so that a memory dump does not reveal tokens."""
    return hashlib.sha256(token).digest()


class BearerTokenCache:
    """Two caches: of accesses, and of refusals, which are kept shorter (performance.md rules 4 and 10).

    They are separate so that a flood of invalid tokens cannot evict valid ones. The least recently used access and the
    oldest refusal are evicted first.
    """

    def __init__(self, *, entries: int, max_age: float, refusals: int, refusal_age: float = 10.0) -> None:
        """`entries` and `refusals` are counts; the ages are in seconds."""
        self._max_entries = entries
        self._max_age = max_age
        self._max_refusals = refusals
        self._refusal_age = refusal_age
        self._accesses: OrderedDict[bytes, tuple[float, Access]] = OrderedDict()
        self._refusals: OrderedDict[bytes, tuple[float, TokenRefused]] = OrderedDict()
        self.hits = 0
        self.misses = 0
        self.generation = 0

    def __len__(self) -> int:
        return len(self._accesses) + len(self._refusals)

    def get(self, key: bytes, now: float) -> Access | TokenRefused | None:
        """The cached result, unless it is too old. `now` is in seconds since the epoch."""
        cached = self._accesses.get(key)
        if cached is not None and now < cached[0]:
            self._accesses.move_to_end(key)
            self.hits += 1
            return cached[1]
        refused = self._refusals.get(key)
        if refused is not None and now < refused[0]:
            self.hits += 1
            return refused[1]
        self.misses += 1
        return None

    def put(self, key: bytes, access: Access, now: float, max_age: float | None = None) -> None:
        """Cache an access until the token expires, and for at most `max_age` seconds if that is given."""
        age = self._max_age if max_age is None else min(max_age, self._max_age)
        self._accesses[key] = (min(access.expires_at, now + age), access)
        self._accesses.move_to_end(key)
        if len(self._accesses) > self._max_entries:
            self._accesses.popitem(last=False)

    def put_refused(self, key: bytes, refused: TokenRefused, now: float) -> None:
        """Cache a refusal for a short time: a copy, because a traceback keeps the frames with the token alive."""
        self._accesses.pop(key, None)
        self._refusals[key] = (now + self._refusal_age, refused.copy())
        self._refusals.move_to_end(key)
        if len(self._refusals) > self._max_refusals:
            self._refusals.popitem(last=False)

    def forget(self, is_affected: Callable[[Access], bool]) -> int:
        """Remove the accesses for which `is_affected` is true, and return their number.

        `generation` is incremented, so that a check that is already running does not add one again.
        """
        self.generation += 1
        keys = [key for key, (_, access) in self._accesses.items() if is_affected(access)]
        for key in keys:
            del self._accesses[key]
        return len(keys)

    def clear(self) -> None:
        """Remove everything."""
        self.generation += 1
        self._accesses.clear()
        self._refusals.clear()
