"""Access tokens: each is opaque and valid until it expires or its authorization ends."""

from gateway.oauth.authorization import AccessToken, Authorization
from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.record_encoding import decode, encode
from gateway.storage.tokens.authorizations import Authorizations
from gateway.storage.tokens.opaque_tokens import TokenKind, digest


class AccessTokens:
    """All access tokens that were issued here."""

    def __init__(self, store: Store, authorizations: Authorizations, providers: frozenset[str]) -> None:
        """`providers` are those whose users are known (`User.provider`). Tokens of other users are refused."""
        self._store = store
        self._authorizations = authorizations
        self._providers = providers

    async def put(self, token: str, access_token: AccessToken) -> None:
        """Store what a token stands for until it expires."""
        lifetime = access_token.expires_at - access_token.issued_at
        await self._store.put(_key(token), encode(access_token), lifetime)

    async def get(self, token: str, now: float) -> tuple[AccessToken, Authorization] | None:
        """What the token stands for, unless the token or its authorization has ended.

        `now` is in seconds since the epoch.
        """
        if not token.startswith(TokenKind.ACCESS_TOKEN):
            return None
        access_token = decode(await self._store.get(_key(token)), AccessToken)
        if access_token is None or now >= access_token.expires_at:
            return None
        authorization = await self._authorizations.get(access_token.authorization_id)
        if authorization is None or (authorization.user and authorization.user.provider not in self._providers):
            return None
        return access_token, authorization


def _key(token: str) -> str:
    return store_keys.ACCESS_TOKEN + digest(token)
