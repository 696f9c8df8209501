"""Secrets of machines, such as launchers and operators, of which wrong ones are not tried without end (RFC 9700)."""

import hmac

from starlette.requests import Request

from gateway.oauth.client import DIGEST, digest_of
from gateway.storage.attempts import Attempts
from gateway.web.smart.requests import remote_of

# How many wrong secrets may be tried for one name from one address, in seconds.
_TRIES = 30
_WINDOW = 60.0


class TooManyTriesError(Exception):
    """Nobody is let in by that name from that address for a minute."""


class Tries:
    """Compares secrets with their digests.

    One that this process has once found right is let in whatever others try, who may come from the same address: a
    proxy's.
    """

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._found_right: set[tuple[str, str]] = set()

    async def is_right(self, name: str, secret: str, digest: str | None, request: Request) -> bool:
        """Whether the secret has that digest; None is the digest of nothing. Raises `TooManyTriesError`."""
        right = hmac.compare_digest(digest_of(secret), digest or DIGEST)
        if right and (name, digest) in self._found_right:
            return True
        what = f"secret:{name}@{remote_of(request)}"
        if not await self._attempts.allowed(what, _TRIES, _WINDOW):
            raise TooManyTriesError
        if right and digest is not None:
            await self._attempts.forget(what)
            self._found_right.add((name, digest))
        return right
