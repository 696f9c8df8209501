"""Limits on the number of requests from one client and address, whether or not they succeed."""

from collections.abc import Callable
from enum import StrEnum

from gateway.asgi.client_address import address_block
from gateway.settings.authorization.rate_limits import RateLimits
from gateway.smart_server.limits.too_many_attempts import TooManyAttemptsError
from gateway.storage import store_keys
from gateway.storage.attempts import Attempts


class LimitedRequest(StrEnum):
    """What is limited. The values are names in the store and reasons in the audit log."""

    AUTHORIZATION = "authorization_requests"
    LAUNCH = "launches"
    REGISTRATION = "registrations"
    TOKEN = "token_requests"
    FAILED_GRANT = "failed_grants"
    WAITING_BYTES = "waiting_bytes"


# Seconds in which requests are counted; a minute for all others.
_WINDOWS = {LimitedRequest.REGISTRATION: 3600.0, LimitedRequest.WAITING_BYTES: 900.0}


class RequestLimits:
    """Counts requests in the store, so that the limits hold for all workers together."""

    def __init__(
        self, attempts: Attempts, settings: RateLimits, on_refusal: Callable[[LimitedRequest, str, str], None]
    ) -> None:
        """`on_refusal` is called with the kind, the sender and the address of each request beyond a limit."""
        self._attempts = attempts
        self._on_refusal = on_refusal
        self._limits = {
            LimitedRequest.AUTHORIZATION: settings.authorization_requests,
            LimitedRequest.LAUNCH: settings.launches,
            LimitedRequest.REGISTRATION: settings.registrations,
            LimitedRequest.TOKEN: settings.token_requests,
            LimitedRequest.FAILED_GRANT: settings.failed_grants,
            LimitedRequest.WAITING_BYTES: settings.waiting_bytes,
        }

    async def count(self, kind: LimitedRequest, address: str, sender: str = "", amount: int = 1) -> None:
        """Count a request, as `amount`. Raises `TooManyAttemptsError` beyond the limit.

        `sender` is the client id or the launcher, and empty where all requests from one address count together.
        """
        name = f"{store_keys.REQUEST_ATTEMPT}{kind}:{sender}@{address_block(address)}"
        wait = await self._attempts.record_attempt(name, self._limits[kind], _WINDOWS.get(kind, 60.0), amount)
        if wait:
            self._on_refusal(kind, sender, address)
            raise TooManyAttemptsError(wait)
