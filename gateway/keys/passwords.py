"""Passwords and client secrets: argon2 hashes, checked few at a time and off the event loop (argon2 RFC 9106)."""

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.keys.lane import Lane
from gateway.oauth.client import DIGEST, digest_of

# RFC 9106 4, second recommended option, as the library has it: 64 MB and some 50 ms a check.
_HASHER = PasswordHasher()
_WIDTH = 2
_WAITING = 64
_REMEMBERED = 256


@cache
def _nobody() -> str:
    """Checked where there is no such user, so that time does not tell who is there."""
    return _HASHER.hash("nobody has this password")


def hash_password(password: str) -> str:
    """The argon2 hash that may be kept."""
    return _HASHER.hash(password)


class PasswordChecker:
    """Checks passwords against hashes. What was right is remembered as a digest, so that clients pay once."""

    def __init__(self) -> None:
        self._lane = Lane(width=_WIDTH, waiting=_WAITING)
        self._right: OrderedDict[bytes, None] = OrderedDict()

    def is_known(self, password: str, known: str | None) -> bool:
        """Whether it is certain without a slow check that the password belongs to the hash."""
        if known is None:
            return False
        if known.startswith(DIGEST):
            return hmac.compare_digest(digest_of(password), known)
        return _key(password, known) in self._right

    async def matches(self, password: str, known: str | None) -> bool:
        """Whether the password belongs to the hash; None stands for a user who is not there and takes as long."""
        if self.is_known(password, known):
            return True
        if known is not None and known.startswith(DIGEST):
            return False
        async with self._lane:
            right = await asyncio.to_thread(_verify, known, password) and known is not None
        if right:
            self._right[_key(password, known)] = None
            if len(self._right) > _REMEMBERED:
                self._right.popitem(last=False)
        return right


def _key(password: str, known: str | None) -> bytes:
    return hashlib.sha256(f"{known}\n{password}".encode()).digest()


def _verify(known: str | None, password: str) -> bool:
    try:
        return _HASHER.verify(known or _nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
