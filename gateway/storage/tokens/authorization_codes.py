"""Authorization codes: each can be used once, and a second use is recognised as such (T-14, edge case 46)."""

from dataclasses import dataclass

from gateway.oauth.authorization import AuthorizationCode
from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.record_encoding import decode, encode
from gateway.storage.tokens.opaque_tokens import digest

# How long a second use is recognised. Without a refresh, the tokens of the first use rarely live longer.
_USED_MARKER_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class UsedCode:
    """The code was used before: its authorization must end."""

    authorization_id: str


class AuthorizationCodes:
    """All authorization codes that were issued and not yet exchanged."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, code: str, record: AuthorizationCode, lifetime: float) -> None:
        """Store what a code stands for, for `lifetime` seconds."""
        await self._store.put(_key(code), encode(record), lifetime)

    async def take(self, code: str) -> AuthorizationCode | UsedCode | None:
        """What the code stands for. Of several callers at once, only one gets it; the others get `UsedCode`."""
        key = _key(code)
        while (data := await self._store.get(key)) is not None:
            record = decode(data, AuthorizationCode)
            if record is None:
                return decode(data, UsedCode)
            used_marker = encode(UsedCode(record.authorization.authorization_id))
            if await self._store.replace(key, data, used_marker, _USED_MARKER_SECONDS):
                return record
        return None


def _key(code: str) -> str:
    return store_keys.AUTHORIZATION_CODE + digest(code)
