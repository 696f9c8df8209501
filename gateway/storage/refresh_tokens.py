"""Refresh tokens: one line of them per authorization, of which only the last counts (RF-8, edge cases 59-61).

A token is `sgr_`, the id of its authorization, its number in the line, a secret of the line that only the client
holds, and a MAC over both by a secret that only the store holds. So the next token follows from this one: a retry whose
answer was lost gets the very same successor; whoever reads the store cannot make a token, and whoever holds a token
cannot make its successor; and an old token is told from a made-up one, so that nobody ends a line by guessing.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace

from gateway.storage.handles import Kind, digest
from gateway.storage.records import decode, encode
from gateway.storage.store import Store

_TOKEN = re.compile(Kind.REFRESH_TOKEN + r"([A-Za-z0-9_-]{22})\.(\d{1,9})\.([A-Za-z0-9_-]{43})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class _Line:
    secret: str
    client_half: str
    number: int
    rotated_at: float


@dataclass(frozen=True, slots=True)
class _Parts:
    authorization_id: str
    number: int
    half: str
    mac: str


@dataclass(frozen=True, slots=True)
class Rotated:
    """The token was the last one, or its answer was lost a moment ago; `successor` takes its place."""

    successor: str


@dataclass(frozen=True, slots=True)
class Reused:
    """An old token came back: somebody else may hold the line, so it must end (BP-2)."""

    authorization_id: str


class RefreshTokens:
    """All lines of refresh tokens."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, authorization_id: str, lifetime: float, now: float) -> str:
        """The first token of an authorization. `lifetime` is in seconds, `now` in seconds since the epoch."""
        half = secrets.token_urlsafe(32)
        line = _Line(secrets.token_urlsafe(32), digest(half), number=1, rotated_at=now)
        await self._store.put(_key(authorization_id), encode(line), lifetime)
        return _token(authorization_id, line, half)

    async def authorization_of(self, token: str) -> str | None:
        """The id of the authorization that a genuine token, old or new, belongs to."""
        parts = _parts(token)
        if parts is None:
            return None
        line = decode(await self._store.get(_key(parts.authorization_id)), _Line)
        return parts.authorization_id if line is not None and _is_genuine(parts, line) else None

    async def rotate(self, token: str, lifetime: float, now: float, grace: float) -> Rotated | Reused | None:
        """Put the successor in the token's place; the predecessor gets the same answer for `grace` seconds more.

        None for a token that was never issued or whose line has ended.
        """
        parts = _parts(token)
        if parts is None:
            return None
        key = _key(parts.authorization_id)
        while (data := await self._store.get(key)) is not None:
            line = decode(data, _Line)
            if line is None or not _is_genuine(parts, line):
                return None
            if parts.number == line.number - 1 and now - line.rotated_at <= grace:
                return Rotated(_token(parts.authorization_id, line, parts.half))
            if parts.number != line.number:
                return Reused(parts.authorization_id)
            following = replace(line, number=line.number + 1, rotated_at=now)
            if await self._store.replace(key, data, encode(following), lifetime):
                return Rotated(_token(parts.authorization_id, following, parts.half))
        return None

    async def end(self, authorization_id: str) -> None:
        """End the line."""
        await self._store.delete(_key(authorization_id))


def _parts(token: str) -> _Parts | None:
    match = _TOKEN.fullmatch(token)
    return None if match is None else _Parts(match[1], int(match[2]), match[3], match[4])


def _is_genuine(parts: _Parts, line: _Line) -> bool:
    """Whether the token was issued in this line, at whatever time."""
    known_half = hmac.compare_digest(digest(parts.half), line.client_half)
    known_mac = hmac.compare_digest(_mac(line, parts.half, parts.number), parts.mac)
    return known_half and known_mac and 0 < parts.number <= line.number


def _token(authorization_id: str, line: _Line, half: str) -> str:
    return f"{Kind.REFRESH_TOKEN}{authorization_id}.{line.number}.{half}.{_mac(line, half, line.number)}"


def _mac(line: _Line, half: str, number: int) -> str:
    return hmac.new(line.secret.encode(), f"{number}.{half}".encode(), hashlib.sha256).hexdigest()


def _key(authorization_id: str) -> str:
    return f"refresh:{authorization_id}"
