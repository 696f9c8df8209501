"""Access tokens: a handle each, good as long as its own time and its authorization last."""

from gateway.oauth.authorization import AccessToken, Authorization
from gateway.storage.authorizations import Authorizations
from gateway.storage.handles import Kind, digest
from gateway.storage.records import decode, encode
from gateway.storage.store import Store


class AccessTokens:
    """All access tokens that we issued."""

    def __init__(self, store: Store, authorizations: Authorizations) -> None:
        self._store = store
        self._authorizations = authorizations

    async def put(self, token: str, meaning: AccessToken) -> None:
        """Remember what a token stands for until it expires."""
        await self._store.put(_key(token), encode(meaning), meaning.expires_at - meaning.issued_at)

    async def get(self, token: str, now: float) -> tuple[AccessToken, Authorization] | None:
        """What the token stands for, if neither it nor its authorization has ended. `now`: seconds since the epoch."""
        if not token.startswith(Kind.ACCESS_TOKEN):
            return None
        meaning = decode(await self._store.get(_key(token)), AccessToken)
        if meaning is None or now >= meaning.expires_at:
            return None
        authorization = await self._authorizations.get(meaning.authorization_id)
        return None if authorization is None else (meaning, authorization)


def _key(token: str) -> str:
    return f"access:{digest(token)}"
