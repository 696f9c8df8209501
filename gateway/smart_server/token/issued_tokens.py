"""Resolves access tokens issued here to `Access`. The proxy caches the result."""

from gateway.credentials.token_refused import TokenRefused
from gateway.fhir.reference import parse_reference
from gateway.oauth.purpose_of_use import OfferedPurpose, purpose_in_force
from gateway.policy.permission.access import Access
from gateway.policy.reasons import Reason
from gateway.scopes.parse_scopes import parse_granted_scopes
from gateway.smart_server.accounts.client_registry import ClientRegistry
from gateway.storage.backends.store import StoreUnavailableError
from gateway.storage.tokens.access_tokens import AccessTokens
from gateway.storage.tokens.opaque_tokens import TokenKind


class IssuedTokenResolver:
    """Resolves the tokens that the SMART server issued.

    While `is_held`, none is accepted: what the configuration no longer permits has not been ended yet.
    """

    def __init__(
        self, tokens: AccessTokens, clients: ClientRegistry, issuer: str, purposes_of_use: tuple[OfferedPurpose, ...]
    ) -> None:
        """Tokens of clients that `clients` does not find enabled are refused.

        `purposes_of_use` are those that users may name now; another one that was named earlier counts no longer.
        """
        self._tokens = tokens
        self._clients = clients
        self._issuer = issuer
        self._purposes_of_use = purposes_of_use
        self.is_held = False

    def recognises(self, token: str) -> bool:
        """Whether a token has the form of one issued here. Then no other issuer is asked about it."""
        return token.startswith(tuple(TokenKind))

    async def resolve(self, token: str, now: float) -> Access:
        """The access that the token gives. `now` is in seconds since the epoch. Raises `TokenRefused`.

        Codes, refresh tokens and launch handles are refused (edge case 62b), and every token while the store is
        unavailable.
        """
        if not token.startswith(TokenKind.ACCESS_TOKEN):
            raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, "an opaque token of another kind")
        if self.is_held:
            raise TokenRefused(Reason.TOKEN_CHECK_UNAVAILABLE, "the store did not answer at the start")
        try:
            record = await self._tokens.get(token, now)
            client = None if record is None else await self._clients.find_for_authorization(record[1])
        except StoreUnavailableError as error:
            raise TokenRefused(Reason.TOKEN_CHECK_UNAVAILABLE, "the store does not answer") from error
        if record is None or client is None:
            raise TokenRefused(Reason.TOKEN_INACTIVE, "unknown, expired or revoked")
        access_token, authorization = record
        user = authorization.user
        fhir_user = parse_reference(user.fhir_user) if user is not None and user.fhir_user is not None else None
        return Access(
            issuer=self._issuer,
            client_id=authorization.client_id,
            subject=user.subject if user is not None else None,
            scopes=parse_granted_scopes(access_token.scope),
            expires_at=access_token.expires_at,
            patient=authorization.context.patient,
            user=fhir_user,
            scope_text=access_token.scope,
            authorization_id=authorization.authorization_id,
            roles=frozenset(user.roles) if user is not None else frozenset(),
            purposes_of_use=frozenset({purpose_in_force(authorization, self._purposes_of_use)} - {""}),
            certificate_thumbprint=access_token.certificate_thumbprint,
        )
