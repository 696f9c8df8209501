"""Client authentication: HTTP Basic, a signed assertion, a certificate, or a client_id alone (checklist 1.10)."""

from typing import assert_never

from starlette.requests import Request

from gateway.asgi.client_certificate import client_certificate
from gateway.certificates.client_certificates import CertificateRefused
from gateway.credentials.client_keys import ClientKeysUnavailable
from gateway.credentials.token_refused import TokenRefused
from gateway.credentials.verify_client_assertion import unverified_client_id
from gateway.oauth.client.client import BY_CERTIFICATE, AuthenticationMethod, Client
from gateway.oauth.client.client_assertion_rules import AssertionRefused
from gateway.oauth.client.client_authentication import (
    BasicCredentials,
    ClientAssertion,
    ClientIdOnly,
    Credentials,
    NoCredentials,
    check_client_id,
    read_credentials,
)
from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.oauth.parameters import Parameters
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.events.request_events import note_claims, note_refusal
from gateway.smart_server.http_messages import remote_address
from gateway.smart_server.limits.guess_limits import CLIENT, Guess
from gateway.smart_server.limits.too_many_attempts import TooManyAttemptsError
from gateway.telemetry.server_event import CLIENT_KEYS_UNAVAILABLE


class ClientAuthenticator:
    """Accepts only the authentication method that the client is registered with (edge case 63)."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    def read_credentials(self, request: Request, parameters: Parameters) -> Credentials:
        """The credentials of the request. Raises `OAuthError`."""
        return read_credentials(request.headers.get("authorization"), parameters)

    async def authenticate(self, credentials: Credentials, parameters: Parameters, request: Request) -> Client:
        """The authenticated client. Raises `OAuthError`."""
        client = await self._find_client(credentials, request)
        check_client_id(client.client_id, parameters)
        return client

    async def _find_client(self, credentials: Credentials, request: Request) -> Client:
        match credentials:
            case BasicCredentials():
                # What comes before the first colon: of any other candidate, the id may be a part of the secret.
                note_claims(client_id=credentials.candidates[0][0])
                return await self._authenticate_by_secret(credentials, request)
            case ClientAssertion():
                return await self._authenticate_by_assertion(credentials)
            case ClientIdOnly():
                return await self._find_by_client_id(credentials, request)
            case NoCredentials():
                raise OAuthError(ErrorCode.INVALID_CLIENT, "The request does not say which client it comes from.")
        assert_never(credentials)

    async def _authenticate_by_secret(self, credentials: BasicCredentials, request: Request) -> Client:
        for client_id, secret in credentials.candidates:
            client = await self._dependencies.clients.find_enabled(client_id)
            if client is not None:
                note_claims(client_id=client_id)
            if client is None or client.authentication is not AuthenticationMethod.CLIENT_SECRET_BASIC:
                continue
            if await self._is_correct_secret(secret, client, request):
                return client
        raise OAuthError(ErrorCode.INVALID_CLIENT, "The client_id or client_secret is wrong.", basic=True)

    async def _is_correct_secret(self, secret: str, client: Client, request: Request) -> bool:
        """Whether the secret is correct. One verified before costs only a digest. Wrong ones count (RFC 6749 2.3.1)."""
        passwords = self._dependencies.passwords
        guess = Guess(CLIENT, client.client_id, remote_address(request))
        try:
            return await self._dependencies.limits.secrets.check(
                guess,
                lambda: passwords.matches(secret, client.secret_hash),
                is_right=passwords.is_verified(secret, client.secret_hash),
            )
        except TooManyAttemptsError as error:
            description = "Too many failed requests of this client."
            raise OAuthError(ErrorCode.TEMPORARILY_UNAVAILABLE, description, retry_after=error.retry_after) from error
        except TokenRefused as error:
            raise OAuthError(ErrorCode.TEMPORARILY_UNAVAILABLE, "Too many requests at once.") from error

    async def _authenticate_by_assertion(self, assertion: ClientAssertion) -> Client:
        try:
            client_id = unverified_client_id(assertion.text)
            note_claims(client_id=client_id)
            client = await self._dependencies.clients.find_enabled(client_id)
            if client is None or client.authentication is not AuthenticationMethod.PRIVATE_KEY_JWT:
                raise AssertionRefused("no client of that name authenticates by private_key_jwt")
            now = self._dependencies.clock()
            verified = await self._dependencies.assertion_verifier.verify(
                assertion.text, client, self._dependencies.token_endpoint, now
            )
        except AssertionRefused as error:
            if isinstance(error, ClientKeysUnavailable):
                note_refusal(CLIENT_KEYS_UNAVAILABLE)
            description = "The client_assertion is not valid."
            raise OAuthError(ErrorCode.INVALID_CLIENT, description, detail=str(error)) from error
        replays, lifetime = self._dependencies.storage.replays, verified.replay_until - now
        if not await replays.record_first_use(client_id, verified.jti, lifetime):
            raise OAuthError(ErrorCode.INVALID_CLIENT, "The client_assertion was used before (its jti).")
        if not await replays.covers(verified.issued_at, now):
            description = "The client_assertion is older than the record of those that were used. Make a new one."
            raise OAuthError(ErrorCode.INVALID_CLIENT, description)
        return client

    async def _find_by_client_id(self, credentials: ClientIdOnly, request: Request) -> Client:
        """A public client, or one that its certificate authenticates (RFC 8705 2)."""
        client = await self._dependencies.clients.find_enabled(credentials.client_id)
        if client is None:
            raise OAuthError(ErrorCode.INVALID_CLIENT, "No client of this client_id is registered.")
        if client.authentication in BY_CERTIFICATE:
            note_claims(client_id=client.client_id)
            self.certificate_binding(client, request)
        elif client.is_confidential:
            raise OAuthError(ErrorCode.INVALID_CLIENT, "This client must authenticate.")
        return client

    def certificate_binding(self, client: Client, request: Request) -> str | None:
        """The thumbprint of the certificate that tokens of the client are bound to; None if it needs none.

        Raises `OAuthError` if the request has not come with it.
        """
        if client.authentication not in BY_CERTIFICATE:
            return None
        verifier = self._dependencies.certificate_verifier
        description = "The client must present its certificate."
        if verifier is None:
            detail = "listen.client_certificates is not set"
            raise OAuthError(ErrorCode.INVALID_CLIENT, description, detail=detail)
        try:
            return verifier.verify(client, client_certificate(request.scope), self._dependencies.clock())
        except CertificateRefused as error:
            raise OAuthError(ErrorCode.INVALID_CLIENT, description, detail=str(error)) from error
