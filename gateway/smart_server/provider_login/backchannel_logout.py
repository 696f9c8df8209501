"""`/backchannel-logout`: an OpenID provider tells that a user signed out there (Back-Channel Logout 1.0)."""

import logging

from starlette.requests import Request
from starlette.responses import Response

from gateway.credentials.token_refused import TokenRefused
from gateway.credentials.unverified_token import parse_token
from gateway.oauth.errors import OAuthError
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.events.request_events import note_claims
from gateway.smart_server.http_messages import json_response, read_oauth_parameters
from gateway.smart_server.openid_provider.logout_token import ProviderLogout
from gateway.smart_server.openid_provider.openid_client import OpenIdClient
from gateway.smart_server.openid_provider.provider_errors import ProviderLoginError, ProviderLoginReason
from gateway.telemetry.server_event import EventKind

_log = logging.getLogger(__name__)


class BackchannelLogoutEndpoint:
    """Ends the sessions that began with a session at a provider, or all that a user of it has here.

    Online access and codes end with the sessions; offline access does not (section 2.7).
    """

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def log_out(self, request: Request) -> Response:
        """POST of a logout token: 200, also for a user without a session; 400 for a token that is not valid."""
        try:
            parameters = await read_oauth_parameters(request)
            token = parameters.get("logout_token")
            if token is None:
                raise ProviderLoginError(ProviderLoginReason.NOT_TRUSTED, "no logout_token, or more than one")
            provider = self._find_provider(token)
            logout = await provider.read_logout_token(token, self._dependencies.clock())
            await self._check_first_use(provider, logout)
        except (ProviderLoginError, OAuthError) as error:
            return self._refuse(error)
        await self._end_sessions(logout)
        self._dependencies.record_event(EventKind.PROVIDER_LOGOUT, subject=logout.subject, reason=provider.issuer)
        return json_response({})

    def _find_provider(self, token: str) -> OpenIdClient:
        """The provider that the token names. Its signature is verified with that provider's keys."""
        try:
            issuer = parse_token(token).claims.get("iss")
        except TokenRefused as refused:
            raise ProviderLoginError(ProviderLoginReason.NOT_TRUSTED, f"logout token: {refused.detail}") from refused
        note_claims(issuer=issuer if isinstance(issuer, str) else None)
        for provider in self._dependencies.providers:
            if provider.issuer == issuer:
                return provider
        raise ProviderLoginError(ProviderLoginReason.NOT_TRUSTED, "logout token: from an unknown issuer")

    async def _check_first_use(self, provider: OpenIdClient, logout: ProviderLogout) -> None:
        lifetime = logout.replayable_until - self._dependencies.clock()
        if not await self._dependencies.storage.replays.record_first_use(provider.issuer, logout.jti, lifetime):
            raise ProviderLoginError(ProviderLoginReason.NOT_TRUSTED, "logout token: used before (jti)")

    async def _end_sessions(self, logout: ProviderLogout) -> None:
        """By `sid` where one is given and known here, else by `sub`: id_tokens need not have a `sid`."""
        sessions, session_ids = self._dependencies.storage.sessions, frozenset[str]()
        if logout.provider_session is not None:
            session_ids = await sessions.find_ids_of_provider_session(logout.provider_session)
        if not session_ids and logout.subject is not None:
            session_ids = await sessions.find_ids_of_user(logout.subject)
        await self._dependencies.storage.ends.end_sessions(session_ids)

    def _refuse(self, error: ProviderLoginError | OAuthError) -> Response:
        _log.warning("a logout token was refused", extra={"detail": str(error)[:300]})
        body = {"error": "invalid_request", "error_description": "The logout token is not valid here."}
        return json_response(body, status=400)
