"""Which client it is that calls: by HTTP Basic, a signed assertion, or its name where it is public (checklist 1.10)."""

from typing import assert_never

from starlette.requests import Request

from gateway.keys.client_assertion import unverified_client_id
from gateway.keys.refused import TokenRefused
from gateway.oauth.assertion import AssertionRefused
from gateway.oauth.client import AuthenticationMethod, Client
from gateway.oauth.client_authentication import (
    Anonymous,
    Assertion,
    BasicCredentials,
    Credentials,
    Named,
    check_named,
    read_credentials,
)
from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.oauth.parameters import Parameters
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.requests import remote_of

# How many wrong secrets one client may be tried with from one address, in seconds (RFC 6749 2.3.1).
_TRIES = 30
_WINDOW = 60.0


class ClientProof:
    """Checks the one way that a client is registered for, and no other (edge case 63)."""

    def __init__(self, parts: SmartParts) -> None:
        self._parts = parts

    def offered(self, request: Request, parameters: Parameters) -> Credentials:
        """What the request offers as proof. Raises `OAuthError`."""
        return read_credentials(request.headers.get("authorization"), parameters)

    async def client(self, offered: Credentials, parameters: Parameters, request: Request) -> Client:
        """The client that proved itself. Raises `OAuthError`."""
        client = await self._proven(offered, request)
        check_named(client.client_id, parameters)
        return client

    async def _proven(self, offered: Credentials, request: Request) -> Client:
        match offered:
            case BasicCredentials():
                return await self._by_secret(offered, request)
            case Assertion():
                return await self._by_assertion(offered)
            case Named():
                return await self._by_name(offered)
            case Anonymous():
                raise OAuthError(ErrorCode.INVALID_CLIENT, "The request does not say which client it comes from.")
        assert_never(offered)

    async def _by_secret(self, offered: BasicCredentials, request: Request) -> Client:
        for client_id, secret in offered.readings:
            client = await self._parts.clients.find(client_id)
            if client is None or client.authentication is not AuthenticationMethod.CLIENT_SECRET_BASIC:
                continue
            if await self._is_right(secret, client, request):
                return client
        raise OAuthError(ErrorCode.INVALID_CLIENT, "The client or its secret is not right.", basic=True)

    async def _is_right(self, secret: str, client: Client, request: Request) -> bool:
        """A secret that is known to be right costs a digest; any other is a try, of which there may be some."""
        passwords = self._parts.passwords
        if passwords.is_known(secret, client.secret_hash):
            return True
        what = f"client:{client.client_id}@{remote_of(request)}"
        if not await self._parts.remembered.attempts.allowed(what, _TRIES, _WINDOW):
            description = "Too many failed requests of this client."
            raise OAuthError(ErrorCode.TEMPORARILY_UNAVAILABLE, description, too_many=True)
        try:
            right = await passwords.matches(secret, client.secret_hash)
        except TokenRefused as error:
            raise OAuthError(ErrorCode.TEMPORARILY_UNAVAILABLE, "Too many requests at once.") from error
        if right:
            await self._parts.remembered.attempts.forget(what)
        return right

    async def _by_assertion(self, offered: Assertion) -> Client:
        try:
            client_id = unverified_client_id(offered.text)
            client = await self._parts.clients.find(client_id)
            if client is None or client.authentication is not AuthenticationMethod.PRIVATE_KEY_JWT:
                raise AssertionRefused("no client of that name authenticates by private_key_jwt")
            now = self._parts.clock()
            verified = await self._parts.assertions.verify(offered.text, client, self._parts.token_endpoint, now)
        except AssertionRefused as error:
            description = "The client_assertion is not valid."
            raise OAuthError(ErrorCode.INVALID_CLIENT, description, detail=str(error)) from error
        lifetime = verified.replay_until - now
        if not await self._parts.remembered.replays.first_use(client_id, verified.jti, lifetime):
            raise OAuthError(ErrorCode.INVALID_CLIENT, "The client_assertion was used before (its jti).")
        return client

    async def _by_name(self, offered: Named) -> Client:
        client = await self._parts.clients.find(offered.client_id)
        if client is None:
            raise OAuthError(ErrorCode.INVALID_CLIENT, "No client of this client_id is registered.")
        if client.confidential:
            raise OAuthError(ErrorCode.INVALID_CLIENT, "This client must prove itself.")
        return client
