"""Checks passwords and client secrets against argon2 hashes, a few at a time in threads (RFC 9106)."""

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.credentials.concurrency_limit import ConcurrencyLimit
from gateway.oauth.client.client import DIGEST_PREFIX, digest_secret

# The second recommended option of RFC 9106 section 4, the default of the library: 64 MB and about 50 ms per check.
_hasher = PasswordHasher()
_MAX_RUNNING = 2
_MAX_WAITING = 64
_MAX_CACHED = 256


@cache
def _dummy_hash() -> str:
    """The hash to check for an unknown user, so that the response time does not reveal which users exist."""
    return _hasher.hash("nobody has this password")


def hash_password(password: str) -> str:
    """The argon2 hash of a password."""
    return _hasher.hash(password)


class PasswordChecker:
    """Checks passwords against hashes. Correct ones are cached as digests, so that a client pays for argon2 once."""

    def __init__(self) -> None:
        self._limit = ConcurrencyLimit(max_running=_MAX_RUNNING, max_waiting=_MAX_WAITING)
        self._verified: OrderedDict[bytes, None] = OrderedDict()

    def is_verified(self, password: str, stored_hash: str | None) -> bool:
        """Whether the password is known to be correct without an argon2 check."""
        if stored_hash is None:
            return False
        if stored_hash.startswith(DIGEST_PREFIX):
            return hmac.compare_digest(digest_secret(password), stored_hash)
        return _cache_key(password, stored_hash) in self._verified

    async def matches(self, password: str, stored_hash: str | None) -> bool:
        """Whether the password is correct. None stands for an unknown user and takes as long. Raises `TokenRefused`."""
        if self.is_verified(password, stored_hash):
            return True
        if stored_hash is not None and stored_hash.startswith(DIGEST_PREFIX):
            return False
        async with self._limit:
            is_correct = await asyncio.to_thread(_verify, stored_hash, password) and stored_hash is not None
        if is_correct:
            self._verified[_cache_key(password, stored_hash)] = None
            if len(self._verified) > _MAX_CACHED:
                self._verified.popitem(last=False)
        return is_correct


def _cache_key(password: str, stored_hash: str | None) -> bytes:
    return hashlib.sha256(f"{stored_hash}\n{password}".encode()).digest()


def _verify(stored_hash: str | None, password: str) -> bool:
    try:
        return _hasher.verify(stored_hash or _dummy_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
