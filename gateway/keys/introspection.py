"""Opaque tokens, asked about where they come from (RFC 7662)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.keys.issuers import Introspection, TrustedIssuer
from gateway.keys.jwks import Document
from gateway.keys.lane import Lane
from gateway.keys.refused import TokenRefused
from gateway.keys.token import json_object
from gateway.keys.verify import check_audience, check_kind, check_times
from gateway.policy.reasons import Reason

# (url, form, (client_id, client_secret)) to the answer; bounded in time and size, raises any exception where there is
# none.
PostForm = Callable[[str, Mapping[str, str], tuple[str, str]], Awaitable[Document]]

_WIDTH = 16
_WAITING = 512


class Introspector:
    """Asks one issuer about its tokens, few at a time."""

    def __init__(self, issuer: TrustedIssuer, settings: Introspection, post: PostForm) -> None:
        """`settings` are that issuer's."""
        self._issuer = issuer
        self._settings = settings
        self._post = post
        self._lane = Lane(width=_WIDTH, waiting=_WAITING)

    async def claims(self, token: str, now: float) -> dict[str, Any]:
        """The claims of an active token. `now` is in seconds since the epoch. Raises `TokenRefused`.

        An answer that names another issuer, another audience or no audience is no answer about a token for us. One
        that names no issuer is the word of the server that we were configured to ask.
        """
        async with self._lane:
            claims = await self._asked(token)
        if claims.get("active") is not True:
            raise TokenRefused(Reason.TOKEN_INACTIVE, "the issuer says that it is not active")
        if claims.get("iss", self._issuer.issuer) != self._issuer.issuer:
            raise TokenRefused(Reason.TOKEN_ISSUER_UNKNOWN, "the introspection answer names another issuer")
        token_type = claims.get("token_type", "Bearer")
        if not isinstance(token_type, str) or token_type.lower() not in {"bearer", "access_token"}:
            raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, "the introspection answer is about no bearer token")
        check_kind(claims)
        check_audience(claims, self._issuer)
        check_times(claims, self._issuer.clock_skew, now)
        return {**claims, "iss": self._issuer.issuer}

    async def _asked(self, token: str) -> dict[str, Any]:
        settings = self._settings
        form = {"token": token, "token_type_hint": "access_token"}
        try:
            document = await self._post(settings.endpoint, form, (settings.client_id, settings.client_secret))
            if document.status == 200:
                return json_object(document.body)
        except Exception as error:
            # The text of the error stays out: it may quote the form, and with it the token.
            detail = f"the introspection endpoint: {type(error).__name__}"
            raise TokenRefused(Reason.TOKEN_CHECK_UNAVAILABLE, detail) from error
        raise TokenRefused(Reason.TOKEN_CHECK_UNAVAILABLE, f"the introspection endpoint: status {document.status}")
