"""Opaque tokens, asked about where they come from (RFC 7662)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from gateway.keys.issuers import Introspection, TrustedIssuer
from gateway.keys.jwks import Document
from gateway.keys.refused import TokenRefused
from gateway.keys.verify import check_times
from gateway.policy.reasons import Reason

# (url, form, (client_id, client_secret)) to the answer; raises any exception where there is none.
PostForm = Callable[[str, Mapping[str, str], tuple[str, str]], Awaitable[Document]]


async def introspect(token: str, issuer: TrustedIssuer, post: PostForm, now: float) -> dict[str, Any]:
    """The claims of an active token. `now` is in seconds since the epoch. Raises `TokenRefused`.

    An answer that names another issuer or another audience is no answer about a token for us; one that names none
    is the word of the server that we were configured to ask.
    """
    settings = issuer.introspection
    assert settings is not None
    claims = await _asked(token, settings, post)
    if claims.get("active") is not True:
        raise TokenRefused(Reason.TOKEN_INACTIVE)
    if claims.get("iss", issuer.issuer) != issuer.issuer:
        raise TokenRefused(Reason.TOKEN_ISSUER_UNKNOWN, "the introspection answer names another issuer")
    if "aud" in claims:
        listed = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if issuer.audiences.isdisjoint(one for one in listed if isinstance(one, str)):
            raise TokenRefused(Reason.TOKEN_AUDIENCE_WRONG, "no audience of the token is ours")
    elif issuer.audiences:
        raise TokenRefused(Reason.TOKEN_AUDIENCE_WRONG, "the introspection answer names no audience")
    if str(claims.get("token_type", "Bearer")).lower() not in {"bearer", "access_token"}:
        raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, "the introspection answer is about another kind of token")
    check_times(claims, issuer.clock_skew, now)
    return {**claims, "iss": issuer.issuer}


async def _asked(token: str, settings: Introspection, post: PostForm) -> dict[str, Any]:
    form = {"token": token, "token_type_hint": "access_token"}
    try:
        document = await post(settings.endpoint, form, (settings.client_id, settings.client_secret))
        claims = orjson.loads(document.body) if document.status == 200 else None
    except Exception as error:
        raise TokenRefused(Reason.TOKEN_CHECK_UNAVAILABLE, "the introspection endpoint did not answer") from error
    if not isinstance(claims, dict):
        raise TokenRefused(Reason.TOKEN_CHECK_UNAVAILABLE, "the introspection endpoint did not answer as RFC 7662 says")
    return claims
