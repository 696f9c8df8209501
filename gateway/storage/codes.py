"""Authorization codes: each is taken once, and a second taker is known as one (T-14, edge case 46)."""

from dataclasses import dataclass

from gateway.oauth.authorization import Code
from gateway.storage.handles import digest
from gateway.storage.records import decode, encode
from gateway.storage.store import Store

# How long a second use is still known as one; the tokens of the first rarely live longer without a refresh.
_USE_IS_REMEMBERED = 3600.0


@dataclass(frozen=True, slots=True)
class Used:
    """The code was taken before; what came of it must end."""

    authorization_id: str


class Codes:
    """All codes that wait for their exchange."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, code: str, meaning: Code, lifetime: float) -> None:
        """Remember what a code stands for. `lifetime` is in seconds."""
        await self._store.put(_key(code), encode(meaning), lifetime)

    async def take(self, code: str) -> Code | Used | None:
        """What the code stands for: to one taker only, however many ask at once."""
        key = _key(code)
        while (data := await self._store.get(key)) is not None:
            meaning = decode(data, Code)
            if meaning is None:
                return decode(data, Used)
            used = encode(Used(meaning.authorization.authorization_id))
            if await self._store.replace(key, data, used, _USE_IS_REMEMBERED):
                return meaning
        return None


def _key(code: str) -> str:
    return f"code:{digest(code)}"
