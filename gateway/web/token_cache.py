"""What is known of tokens already seen: bounded, never past their end, and never the tokens themselves."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

from gateway.keys.refused import TokenRefused
from gateway.policy.access import Access


def fingerprint(token: bytes) -> bytes:
    """What stands for a token in memory: a digest, so that a dump of the process gives nobody a token."""
    return hashlib.sha256(token).digest()


class TokenCache:
    """Two memories: of what tokens permit, and, apart and shorter, of refusals (performance.md rules 4 and 10).

    Apart, so that a storm of bad tokens drives out no good one. Of each, the least recently used goes first.
    """

    def __init__(self, *, entries: int, max_age: float, refusals: int, refusal_age: float = 10.0) -> None:
        """`entries` and `refusals` are counts; the ages are in seconds."""
        self._entries = entries
        self._max_age = max_age
        self._refusals = refusals
        self._refusal_age = refusal_age
        self._known: OrderedDict[bytes, tuple[float, Access]] = OrderedDict()
        self._refused: OrderedDict[bytes, tuple[float, TokenRefused]] = OrderedDict()
        self.hits = 0
        self.misses = 0
        self.generation = 0

    def __len__(self) -> int:
        return len(self._known) + len(self._refused)

    def get(self, key: bytes, now: float) -> Access | TokenRefused | None:
        """What is known and not too old. `now` is in seconds since the epoch."""
        found = self._known.get(key)
        if found is not None and now < found[0]:
            self._known.move_to_end(key)
            self.hits += 1
            return found[1]
        refused = self._refused.get(key)
        if refused is not None and now < refused[0]:
            self.hits += 1
            return refused[1]
        self.misses += 1
        return None

    def put(self, key: bytes, access: Access, now: float, max_age: float | None = None) -> None:
        """Remember what a token permits, no longer than it lasts, nor than `max_age` seconds where that is less."""
        age = self._max_age if max_age is None else min(max_age, self._max_age)
        self._known[key] = (min(access.expires_at, now + age), access)
        self._known.move_to_end(key)
        if len(self._known) > self._entries:
            self._known.popitem(last=False)

    def put_refused(self, key: bytes, refused: TokenRefused, now: float) -> None:
        """Remember a refusal for a short while: a copy, because a traceback holds on to the frames with the token."""
        self._known.pop(key, None)
        self._refused[key] = (now + self._refusal_age, TokenRefused(refused.reason, refused.detail))
        self._refused.move_to_end(key)
        if len(self._refused) > self._refusals:
            self._refused.popitem(last=False)

    def forget(self, concerned: Callable[[Access], bool]) -> int:
        """Forget the tokens of which `concerned` is true; how many there were.

        `generation` grows, so that a check that began before does not bring one back.
        """
        self.generation += 1
        keys = [key for key, (_, access) in self._known.items() if concerned(access)]
        for key in keys:
            del self._known[key]
        return len(keys)

    def clear(self) -> None:
        """Forget everything."""
        self.generation += 1
        self._known.clear()
        self._refused.clear()
