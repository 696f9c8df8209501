"""Token introspection at the issuer of opaque access tokens (RFC 7662)."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.credentials.concurrency_limit import ConcurrencyLimit
from gateway.credentials.issuer_keys import HttpDocument
from gateway.credentials.token_refused import TokenClaims, TokenRefused
from gateway.credentials.trusted_issuer import TrustedIssuer
from gateway.credentials.unverified_token import parse_json_object
from gateway.credentials.verify_token import check_audience, check_kind, check_times
from gateway.policy.reasons import Reason
from gateway.settings.authorization.issuers import Introspection

# From URL, form and (client_id, client_secret) to the response. Limited in time and size; raises any exception if there
# is no response.
PostForm = Callable[[str, Mapping[str, str], tuple[str, str]], Awaitable[HttpDocument]]

_log = logging.getLogger(__name__)
_MAX_RUNNING = 16
_MAX_WAITING = 512


class Introspector:
    """Sends introspection requests to one issuer, a few at a time."""

    def __init__(self, issuer: TrustedIssuer, settings: Introspection, post_form: PostForm) -> None:
        """`settings` are those of the issuer."""
        self._issuer = issuer
        self._settings = settings
        self._post_form = post_form
        self._is_away = False
        self._limit = ConcurrencyLimit(max_running=_MAX_RUNNING, max_waiting=_MAX_WAITING)

    async def introspect(self, token: str, now: float) -> dict[str, Any]:
        """The claims of an active token. `now` is in seconds since the epoch. Raises `TokenRefused`.

        A response that names another issuer, another audience or no audience is refused, because it is not about a
        token for this gateway. A response that names no issuer counts as one of the configured issuer.
        """
        async with self._limit:
            claims = await self._request_claims(token)
        try:
            self._check(claims, now)
        except TokenRefused as refused:
            refused.claims = TokenClaims.read({"iss": self._issuer.issuer, **claims})
            raise
        return {**claims, "iss": self._issuer.issuer}

    def _check(self, claims: Mapping[str, Any], now: float) -> None:
        if claims.get("active") is not True:
            raise TokenRefused(Reason.TOKEN_INACTIVE, "the issuer says that it is not active")
        if claims.get("iss", self._issuer.issuer) != self._issuer.issuer:
            raise TokenRefused(Reason.TOKEN_ISSUER_UNKNOWN, "the introspection response names another issuer")
        token_type = claims.get("token_type", "Bearer")
        if not isinstance(token_type, str) or token_type.lower() not in {"bearer", "access_token"}:
            raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, "the introspected token is no bearer token")
        check_kind(claims)
        check_audience(claims, self._issuer)
        check_times(claims, self._issuer.clock_skew, now)

    async def _request_claims(self, token: str) -> dict[str, Any]:
        settings = self._settings
        credentials = (settings.client_id, settings.client_secret.get_secret_value())
        form = {"token": token, "token_type_hint": "access_token"}
        try:
            document = await self._post_form(settings.endpoint, form, credentials)
            claims = parse_json_object(document.body) if document.status == 200 else None
        except Exception as error:
            # The text of the error is not logged: it may quote the form and with it the token.
            raise self._unavailable(type(error).__name__) from error
        if claims is None:
            raise self._unavailable(f"status {document.status}")
        if self._is_away:
            self._is_away = False
            _log.info("the introspection endpoint answers again", extra={"source": settings.endpoint})
        return claims

    def _unavailable(self, detail: str) -> TokenRefused:
        """The refusal. It is told once, until there is an answer."""
        if not self._is_away:
            self._is_away = True
            extra = {"source": self._settings.endpoint, "detail": detail}
            _log.warning("the introspection endpoint does not answer", extra=extra)
        claims = TokenClaims(self._issuer.issuer, (), None)
        return TokenRefused(Reason.TOKEN_CHECK_UNAVAILABLE, f"the introspection endpoint: {detail}", claims)
