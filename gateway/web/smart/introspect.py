"""`/introspect` and `/revoke`: what a token stands for, and its end (RFC 7662, RFC 7009; checklist IN, RV)."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.answers import INACTIVE, introspection_answer
from gateway.oauth.client import Client
from gateway.oauth.client_authentication import Anonymous
from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.oauth.parameters import Parameters
from gateway.scopes.model import ExtensionScope
from gateway.scopes.parse import parse_scopes
from gateway.telemetry.event import EventKind
from gateway.web.smart.client_proof import ClientProof
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.requests import error_answer, json_answer, oauth_parameters

# IN-10: SMART leaves the name to us, and outside names have two underscores (EX-1).
INTROSPECT = ExtensionScope("__introspect")
_OURS = ("token", "token_type_hint", "client_id", "client_secret", "client_assertion", "client_assertion_type")


class IntrospectionEndpoint:
    """The introspection endpoint: for clients that may introspect, whoever's the token is (IN-8, edge case 143)."""

    def __init__(self, parts: SmartParts, proof: ClientProof) -> None:
        self._parts = parts
        self._proof = proof

    async def answer(self, request: Request) -> Response:
        """POST: an active token's meaning, or nothing but that it is not active (edge case 138)."""
        try:
            if request.headers.get("authorization", "").lower().startswith("bearer "):
                refusal = await self._bearer_refused(request)
                if refusal is not None:
                    return refusal
                parameters = await oauth_parameters(request)
            else:
                parameters = await oauth_parameters(request)
                await self._by_client(request, parameters)
            return json_answer(await self._told(_token(parameters)))
        except OAuthError as error:
            return error_answer(_as_challenge(error))

    async def _bearer_refused(self, request: Request) -> Response | None:
        """A bearer token with our scope, of a client that may introspect (edge case 139)."""
        token = request.headers["authorization"].partition(" ")[2].strip()
        known = await self._parts.remembered.access_tokens.get(token, self._parts.clock())
        if known is None:
            challenge = {"www-authenticate": 'Bearer error="invalid_token"'}
            return json_answer({"error": "invalid_token"}, status=401, headers=challenge)
        meaning, authorization = known
        client = await self._parts.clients.holder(authorization)
        request.state.client = client
        if client is None or not client.may_introspect or INTROSPECT not in parse_scopes(meaning.scope).scopes:
            challenge = {"www-authenticate": f'Bearer error="insufficient_scope", scope="{INTROSPECT.name}"'}
            return json_answer({"error": "insufficient_scope"}, status=403, headers=challenge)
        return None

    async def _by_client(self, request: Request, parameters: Parameters) -> None:
        _check_repeated(parameters)
        client = await self._proof.client(self._proof.offered(request, parameters), parameters, request)
        request.state.client = client
        if not client.may_introspect or not client.confidential:
            raise OAuthError(ErrorCode.UNAUTHORIZED_CLIENT, "This client may not introspect tokens.")

    async def _told(self, token: str) -> dict[str, object]:
        known = await self._parts.remembered.access_tokens.get(token, self._parts.clock())
        if known is None or await self._parts.clients.holder(known[1]) is None:
            return dict(INACTIVE)
        return introspection_answer(*known, self._parts.issuer)


class RevocationEndpoint:
    """The revocation endpoint: the whole authorization ends with any of its tokens (RV-2)."""

    def __init__(self, parts: SmartParts, proof: ClientProof) -> None:
        self._parts = parts
        self._proof = proof

    async def answer(self, request: Request) -> Response:
        """POST: 200, also for a token that nobody knows (edge case 144)."""
        try:
            parameters = await oauth_parameters(request)
            token = _token(parameters)
            _check_repeated(parameters)
            offered = self._proof.offered(request, parameters)
            authorization_id = await self._authorization_of(token)
            if isinstance(offered, Anonymous):
                client = await self._public_client(authorization_id)
            else:
                client = await self._proof.client(offered, parameters, request)
            request.state.client = client
            await self._revoke(authorization_id, client)
            return json_answer({})
        except OAuthError as error:
            return error_answer(error)

    async def _authorization_of(self, token: str) -> str | None:
        remembered = self._parts.remembered
        known = await remembered.access_tokens.get(token, self._parts.clock())
        return (
            known[0].authorization_id if known is not None else await remembered.refresh_tokens.authorization_of(token)
        )

    async def _public_client(self, authorization_id: str | None) -> Client | None:
        """A public client need not name itself: holding the token is all that it could show."""
        remembered = self._parts.remembered
        authorization = None if authorization_id is None else await remembered.authorizations.get(authorization_id)
        client = None if authorization is None else await self._parts.clients.holder(authorization)
        if client is not None and client.confidential:
            raise OAuthError(ErrorCode.INVALID_CLIENT, "This client must prove itself.")
        return client

    async def _revoke(self, authorization_id: str | None, client: Client | None) -> None:
        if authorization_id is None or client is None:
            return
        remembered = self._parts.remembered
        authorization = await remembered.authorizations.get(authorization_id)
        if authorization is None:
            return
        if not authorization.is_of(client):
            # RFC 7009 2.1: refused, and the other client's token stands.
            raise OAuthError(ErrorCode.INVALID_GRANT, "The token was not issued to this client.")
        await remembered.end(authorization_id)
        self._parts.tell(
            EventKind.REVOKED, client_id=client.client_id, authorization_id=authorization_id, reason="client"
        )


def _check_repeated(parameters: Parameters) -> None:
    repeated = parameters.repeated_among(_OURS)
    if repeated is not None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"The parameter {repeated} came more than once.")


def _as_challenge(error: OAuthError) -> OAuthError:
    """Whoever asks without proof gets 401, in whatever way they failed to give it (RFC 7662 2.3)."""
    if error.code is not ErrorCode.INVALID_CLIENT:
        return error
    return OAuthError(error.code, error.description, detail=error.detail, basic=True)


def _token(parameters: Parameters) -> str:
    if parameters.repeated_among(("token",)) is not None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The parameter token came more than once.")
    token = parameters.get("token")
    if token is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The parameter token is missing.")
    return token
