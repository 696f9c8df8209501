"""Our own opaque tokens as `Access`: from the store at first sight in a worker, from its cache after that."""

from gateway.fhir.reference import parse_reference
from gateway.keys.refused import TokenRefused
from gateway.policy.access import Access
from gateway.policy.reasons import Reason
from gateway.scopes.parse import parse_scopes
from gateway.storage.access_tokens import AccessTokens
from gateway.storage.handles import Kind
from gateway.storage.store import StoreAwayError
from gateway.web.smart.clients import Clients


class OwnTokens:
    """Resolves the tokens that the SMART server issued."""

    def __init__(self, tokens: AccessTokens, clients: Clients, issuer: str) -> None:
        """`clients` say whose tokens count: those of a disabled client do not."""
        self._tokens = tokens
        self._clients = clients
        self._issuer = issuer

    def are(self, token: str) -> bool:
        """Whether a token looks like one of ours; then nobody else is asked about it."""
        return token.startswith(tuple(Kind))

    async def access(self, token: str, now: float) -> Access:
        """What the token permits. `now` is in seconds since the epoch. Raises `TokenRefused`.

        A code, a refresh token or a launch handle is no access token (edge case 62b); the store away means refusal.
        """
        if not token.startswith(Kind.ACCESS_TOKEN):
            raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, "a handle of another kind")
        try:
            known = await self._tokens.get(token, now)
            client = None if known is None else await self._clients.holder(known[1])
        except StoreAwayError as error:
            raise TokenRefused(Reason.TOKEN_CHECK_UNAVAILABLE, "the store does not answer") from error
        if known is None or client is None:
            raise TokenRefused(Reason.TOKEN_INACTIVE, "unknown, over or revoked")
        meaning, authorization = known
        user = authorization.user
        own = parse_reference(user.fhir_user) if user is not None and user.fhir_user is not None else None
        return Access(
            issuer=self._issuer,
            client_id=authorization.client_id,
            subject=user.subject if user is not None else None,
            scopes=parse_scopes(meaning.scope).scopes,
            expires_at=meaning.expires_at,
            patient=authorization.context.patient,
            user=own,
            scope_text=meaning.scope,
            authorization_id=authorization.authorization_id,
        )
