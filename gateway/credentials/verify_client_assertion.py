"""Client authentication with `private_key_jwt` (checklist CA-1..CA-15, RFC 7523 section 3)."""

import asyncio
from dataclasses import dataclass

from gateway.credentials.client_keys import ClientKeys
from gateway.credentials.concurrency_limit import ConcurrencyLimit
from gateway.credentials.token_refused import TokenRefused
from gateway.credentials.unverified_token import UnverifiedToken, parse_token
from gateway.credentials.verify_token import SLOW_ALGORITHMS, check_signature
from gateway.oauth.client.client import Client
from gateway.oauth.client.client_assertion_rules import AssertionRefused, asserted_client_id, check_assertion
from gateway.policy.reasons import Reason

_MAX_RUNNING = 2
_MAX_WAITING = 512


class AssertionUncheckable(AssertionRefused):
    """Too many assertions wait to be checked. This one may be valid and may be sent again."""


@dataclass(frozen=True, slots=True)
class VerifiedAssertion:
    """An assertion that the client signed.

    The caller must record the `jti` for the client until `replay_until`, in seconds since the epoch (CA-7). It does so
    only after verification, so that nobody without the key can use up a `jti` (edge case 72). A record of uses that
    begins after `issued_at` says nothing about the assertion.
    """

    jti: str
    replay_until: float
    issued_at: float


class AssertionVerifier:
    """Verifies the assertions of all clients, a few at a time."""

    def __init__(self, keys: ClientKeys) -> None:
        self._keys = keys
        self._limit = ConcurrencyLimit(max_running=_MAX_RUNNING, max_waiting=_MAX_WAITING)

    async def verify(self, assertion: str, client: Client, token_endpoint: str, now: float) -> VerifiedAssertion:
        """Verify that the client made the assertion for `token_endpoint`, the URL as it is published.

        `now` is in seconds since the epoch. Raises `AssertionRefused`. Does not check whether the `jti` was used
        before. Header and claims are checked first, so that an assertion that has expired or names other keys costs
        neither a fetch nor a signature check.
        """
        token = _parse(assertion)
        checked = check_assertion(token.header, token.claims, client, token_endpoint, now)
        key = await self._keys.get_key(client, checked.kid, checked.algorithm, now)
        try:
            async with self._limit:
                if checked.algorithm in SLOW_ALGORITHMS:
                    await asyncio.to_thread(check_signature, token, key, checked.algorithm)
                else:
                    check_signature(token, key, checked.algorithm)
        except TokenRefused as refused:
            raise _as_assertion_refused(refused) from refused
        return VerifiedAssertion(checked.jti, checked.replay_until, checked.issued_at)


def unverified_client_id(assertion: str) -> str:
    """The client id that an assertion states, which is not verified yet. Raises `AssertionRefused`."""
    return asserted_client_id(_parse(assertion).claims)


def _parse(assertion: str) -> UnverifiedToken:
    try:
        return parse_token(assertion)
    except TokenRefused as refused:
        raise _as_assertion_refused(refused) from refused


def _as_assertion_refused(refused: TokenRefused) -> AssertionRefused:
    is_overload = refused.reason is Reason.TOKEN_CHECK_UNAVAILABLE
    return AssertionUncheckable(refused.detail) if is_overload else AssertionRefused(refused.detail)
