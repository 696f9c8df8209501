"""Checks the secrets of launchers and of the operator, within the limits on guesses."""

import hmac

from starlette.requests import Request

from gateway.oauth.client.client import DIGEST_PREFIX, digest_secret
from gateway.smart_server.http_messages import remote_address
from gateway.smart_server.limits.guess_limits import Guess, GuessLimits


class SecretChecker:
    """Compares secrets with their digests."""

    def __init__(self, limits: GuessLimits) -> None:
        self._limits = limits

    async def is_correct(self, kind: str, name: str, secret: str, digest: str | None, request: Request) -> bool:
        """Whether the secret has that digest; never for None. Raises `TooManyAttemptsError`."""
        is_correct = hmac.compare_digest(digest_secret(secret), digest or DIGEST_PREFIX)

        async def verify() -> bool:
            return is_correct

        return await self._limits.check(Guess(kind, name, remote_address(request)), verify, is_right=is_correct)
