"""Refresh tokens: one token family per authorization, of which only the latest token is valid (RF-8, edge cases 59-61).

A token consists of `sgr_`, the id of its authorization, its number in the family, a secret that only the client holds,
and a MAC over number and client secret with a key that only the store holds. From this follows:

* The next token can be computed from the current one. A client that retries because it lost the response gets the same
  successor.
* Reading the store is not enough to make a token, and holding a token is not enough to make its successor.
* An old token differs from an invented one, so nobody can end a family by guessing.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace

from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.record_encoding import decode, encode
from gateway.storage.tokens.opaque_tokens import TokenKind, digest

_TOKEN = re.compile(TokenKind.REFRESH_TOKEN + r"([A-Za-z0-9_-]{22})\.(\d{1,9})\.([A-Za-z0-9_-]{43})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class _TokenFamily:
    """The stored state of a family.

    `secret` is the key of the MACs, `client_half` the digest of the client's secret, `number` that of the latest token.
    """

    secret: str
    client_half: str
    number: int
    rotated_at: float


@dataclass(frozen=True, slots=True)
class _ParsedToken:
    authorization_id: str
    number: int
    client_secret: str
    mac: str


@dataclass(frozen=True, slots=True)
class RotatedToken:
    """The token was valid, or its successor was issued a moment ago; the client gets `successor` in its place."""

    successor: str


@dataclass(frozen=True, slots=True)
class ReusedToken:
    """An old token was used again. Somebody else may hold the latest one, so the family must end (BP-2)."""

    authorization_id: str


class RefreshTokens:
    """All families of refresh tokens."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def start_family(self, authorization_id: str, lifetime: float, now: float) -> str:
        """The first token of an authorization. `lifetime` is in seconds, `now` in seconds since the epoch."""
        client_secret = secrets.token_urlsafe(32)
        family = _TokenFamily(secrets.token_urlsafe(32), digest(client_secret), number=1, rotated_at=now)
        await self._store.put(_key(authorization_id), encode(family), lifetime)
        return _format(authorization_id, family, client_secret)

    async def find_authorization_id(self, token: str) -> str | None:
        """The id of the authorization that a genuine token, old or latest, belongs to."""
        parsed = _parse(token)
        if parsed is None:
            return None
        family = decode(await self._store.get(_key(parsed.authorization_id)), _TokenFamily)
        return parsed.authorization_id if family is not None and _is_genuine(parsed, family) else None

    async def rotate(self, token: str, lifetime: float, now: float, grace: float) -> RotatedToken | ReusedToken | None:
        """Replace the token by its successor, which lives for `lifetime` seconds.

        For `grace` seconds, the token before the latest one still gets the same successor. `now` is in seconds since
        the epoch. Return None for a token that was never issued or whose family has ended.
        """
        parsed = _parse(token)
        if parsed is None:
            return None
        key = _key(parsed.authorization_id)
        while (data := await self._store.get(key)) is not None:
            family = decode(data, _TokenFamily)
            if family is None or not _is_genuine(parsed, family):
                return None
            if parsed.number == family.number - 1 and now - family.rotated_at <= grace:
                return RotatedToken(_format(parsed.authorization_id, family, parsed.client_secret))
            if parsed.number != family.number:
                return ReusedToken(parsed.authorization_id)
            rotated = replace(family, number=family.number + 1, rotated_at=now)
            if await self._store.replace(key, data, encode(rotated), lifetime):
                return RotatedToken(_format(parsed.authorization_id, rotated, parsed.client_secret))
        return None

    async def last_used_at(self, authorization_id: str) -> float | None:
        """When the client last renewed its access, or got it first; None without a family, or after its end."""
        family = decode(await self._store.get(_key(authorization_id)), _TokenFamily)
        return None if family is None else family.rotated_at

    async def end_family(self, authorization_id: str) -> None:
        """Invalidate all refresh tokens of the authorization."""
        await self._store.delete(_key(authorization_id))


def _parse(token: str) -> _ParsedToken | None:
    match = _TOKEN.fullmatch(token)
    return None if match is None else _ParsedToken(match[1], int(match[2]), match[3], match[4])


def _is_genuine(parsed: _ParsedToken, family: _TokenFamily) -> bool:
    """Whether the token was issued in this family at any time. Both comparisons always run (timing)."""
    is_client_secret = hmac.compare_digest(digest(parsed.client_secret), family.client_half)
    is_mac = hmac.compare_digest(_mac(family, parsed.client_secret, parsed.number), parsed.mac)
    return is_client_secret and is_mac and 0 < parsed.number <= family.number


def _format(authorization_id: str, family: _TokenFamily, client_secret: str) -> str:
    mac = _mac(family, client_secret, family.number)
    return f"{TokenKind.REFRESH_TOKEN}{authorization_id}.{family.number}.{client_secret}.{mac}"


def _mac(family: _TokenFamily, client_secret: str, number: int) -> str:
    return hmac.new(family.secret.encode(), f"{number}.{client_secret}".encode(), hashlib.sha256).hexdigest()


def _key(authorization_id: str) -> str:
    return store_keys.REFRESH_TOKEN_FAMILY + authorization_id
