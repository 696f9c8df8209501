"""Proof that a client holds the key it registered: `private_key_jwt` (checklist CA-1..CA-15, RFC 7523 3)."""

import asyncio
from dataclasses import dataclass

from gateway.keys.client_keys import ClientKeys
from gateway.keys.lane import Lane
from gateway.keys.refused import TokenRefused
from gateway.keys.token import Unverified, read_token
from gateway.keys.verify import check_signature
from gateway.oauth.assertion import AssertionRefused, asserted_client_id, check_assertion
from gateway.oauth.client import Client
from gateway.policy.reasons import Reason

# Half a millisecond and more; the others cost less than the way to a thread and back.
_SLOW = frozenset({"ES384"})
_WIDTH = 2
_WAITING = 512


class AssertionUncheckable(AssertionRefused):
    """Too many assertions wait: this one may be good, and may be sent again."""


@dataclass(frozen=True, slots=True)
class VerifiedAssertion:
    """Whoever asks it to be verified records the `jti` under the client's id, until `replay_until` (CA-7).

    That comes after verification, so that nobody without the key can use up a `jti` (edge case 72).
    """

    jti: str
    replay_until: float


class AssertionVerifier:
    """Checks the assertions of all clients, few at a time."""

    def __init__(self, keys: ClientKeys) -> None:
        self._keys = keys
        self._lane = Lane(width=_WIDTH, waiting=_WAITING)

    async def verify(self, assertion: str, client: Client, token_endpoint: str, now: float) -> VerifiedAssertion:
        """The assertion, if the client made it for `token_endpoint` (as published). `now` is seconds since the epoch.

        Whether its `jti` was used before is not looked at. Raises `AssertionRefused`. Header and claims come first:
        an assertion that is over, or names other keys, costs neither a fetch nor a signature check.
        """
        token = _read(assertion)
        checked = check_assertion(token.header, token.claims, client, token_endpoint, now)
        key = await self._keys.key(client, checked.kid, checked.algorithm, now)
        try:
            async with self._lane:
                if checked.algorithm in _SLOW:
                    await asyncio.to_thread(check_signature, token, key, checked.algorithm)
                else:
                    check_signature(token, key, checked.algorithm)
        except TokenRefused as refused:
            raise _told(refused) from refused
        return VerifiedAssertion(checked.jti, checked.replay_until)


def unverified_client_id(assertion: str) -> str:
    """The client that an assertion names, to look it up; nothing is proved yet. Raises `AssertionRefused`."""
    return asserted_client_id(_read(assertion).claims)


def _read(assertion: str) -> Unverified:
    try:
        return read_token(assertion)
    except TokenRefused as refused:
        raise _told(refused) from refused


def _told(refused: TokenRefused) -> AssertionRefused:
    kind = AssertionUncheckable if refused.reason is Reason.TOKEN_CHECK_UNAVAILABLE else AssertionRefused
    return kind(refused.detail)
