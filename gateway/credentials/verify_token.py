"""Verifies signed access tokens: header, claims and signature."""

import asyncio
from collections.abc import Mapping
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from gateway.credentials.concurrency_limit import ConcurrencyLimit
from gateway.credentials.issuer_keys import IssuerKeys
from gateway.credentials.token_refused import TokenRefused
from gateway.credentials.trusted_issuer import TrustedIssuer
from gateway.credentials.unverified_token import UnverifiedToken
from gateway.policy.reasons import Reason

# These take half a millisecond or more. The others cost less than the switch to a thread and back.
SLOW_ALGORITHMS = frozenset({"ES384", "ES512"})
# The signature library holds the interpreter lock, so a third thread would only slow down the event loop.
_MAX_RUNNING = 2
_MAX_WAITING = 512

# Keycloak and Cognito state the kind of a token in its payload. Only these are for a resource server (keycloak.md).
_ACCESS_TOKEN_KINDS: Mapping[str, frozenset[str]] = {
    "typ": frozenset({"bearer", "at+jwt"}),
    "token_use": frozenset({"access", "access_token"}),
}
# Only id_tokens and logout tokens have these (OpenID Connect Core 2 and 3.3.2.11, Back-Channel Logout 2.4).
_ID_TOKEN_CLAIMS = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "events"})
_CLIENT_CLAIMS = ("azp", "client_id", "appid", "cid")


class TokenVerifier:
    """Verifies the signed tokens of one issuer, a few at a time."""

    def __init__(self, issuer: TrustedIssuer, keys: IssuerKeys) -> None:
        """`keys` are those of the issuer."""
        self._issuer = issuer
        self._keys = keys
        self._limit = ConcurrencyLimit(max_running=_MAX_RUNNING, max_waiting=_MAX_WAITING)

    async def verify(self, token: UnverifiedToken, now: float) -> Mapping[str, Any]:
        """The claims of a valid token. `now` is in seconds since the epoch. Raises `TokenRefused`.

        The claims are checked first, which is cheap: a token that has expired or has another audience needs neither a
        key nor a signature check.
        """
        algorithm = check_header(token, self._issuer)
        check_claims(token.claims, self._issuer, now)
        kid = token.header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise TokenRefused(Reason.TOKEN_MALFORMED, "the kid is no string")
        key = await self._keys.get_key(kid, algorithm, now)
        async with self._limit:
            if algorithm in SLOW_ALGORITHMS:
                await asyncio.to_thread(check_signature, token, key, algorithm)
            else:
                check_signature(token, key, algorithm)
        return token.claims


def check_header(token: UnverifiedToken, issuer: TrustedIssuer) -> str:
    """The algorithm, if the issuer may use it. It is checked before any key is looked up (RFC 8725 3.1).

    The parameters `jku`, `x5u`, `jwk` and `x5c` are never read, because a token must not choose the keys to trust.
    Raises `TokenRefused`.
    """
    algorithm = token.header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
        raise TokenRefused(Reason.TOKEN_ALGORITHM_REFUSED, f"algorithm {_shorten(algorithm)}")
    kind = token.header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in issuer.accepted_types:
        raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, f"typ {_shorten(kind)} in the header")
    return algorithm


def check_signature(token: UnverifiedToken, key: Key, algorithm: str) -> None:
    """Raises `TokenRefused` unless the key made the signature. Takes 0.02 to 1 ms."""
    model = JWSRegistry.algorithms[algorithm]
    try:
        model.check_key(key)
        valid = model.verify(token.signing_input, token.signature, key)
    except (JoseError, ValueError) as error:
        raise TokenRefused(Reason.TOKEN_SIGNATURE_INVALID, "the signature cannot be read") from error
    if not valid:
        raise TokenRefused(Reason.TOKEN_SIGNATURE_INVALID, "the signature is not the key's")


def check_claims(claims: Mapping[str, Any], issuer: TrustedIssuer, now: float) -> None:
    """Check issuer, kind, audience and times of a signed token. `now` is in seconds since the epoch.

    Raises `TokenRefused`.
    """
    if claims.get("iss") != issuer.issuer:
        raise TokenRefused(Reason.TOKEN_ISSUER_UNKNOWN, "the iss claim names another issuer")
    is_kind_stated = check_kind(claims)
    audiences = check_audience(claims, issuer)
    # An id_token has only its client as audience (OpenID Connect Core 2); without a stated kind, that identifies it.
    if not is_kind_stated and all(audience in [claims.get(name) for name in _CLIENT_CLAIMS] for audience in audiences):
        raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, "its only audience is its client, as in an id_token")
    check_times(claims, issuer.clock_skew, now)


def check_kind(claims: Mapping[str, Any]) -> bool:
    """Whether the claims state that this is an access token. Raises `TokenRefused` if they state another kind."""
    is_stated = False
    for name, kinds in _ACCESS_TOKEN_KINDS.items():
        if name in claims:
            kind = claims[name]
            if not isinstance(kind, str) or kind.lower() not in kinds:
                raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, f"its {name} claim is {_shorten(kind)}")
            is_stated = True
    id_token_claims = sorted(_ID_TOKEN_CLAIMS & claims.keys())
    if id_token_claims:
        raise TokenRefused(
            Reason.TOKEN_NOT_AN_ACCESS_TOKEN, f"it has the claim {id_token_claims[0]} of an id or logout token"
        )
    return is_stated


def check_audience(claims: Mapping[str, Any], issuer: TrustedIssuer) -> frozenset[str]:
    """The audiences of the token. Raises `TokenRefused` unless one is this gateway (RFC 7519 4.1.3)."""
    audience = claims.get("aud")
    values = audience if isinstance(audience, list) else [audience]
    audiences = frozenset(value for value in values if isinstance(value, str))
    if audiences.isdisjoint(issuer.audiences):
        raise TokenRefused(Reason.TOKEN_AUDIENCE_WRONG, "no audience of the token is this gateway")
    return audiences


def check_times(claims: Mapping[str, Any], skew: float, now: float) -> None:
    """Check `exp`, which is required, `nbf` and `iat` (RFC 7519 4.1). Raises `TokenRefused`.

    `skew` is in seconds, `now` in seconds since the epoch.
    """
    expires_at, not_before, issued_at = (_read_time(claims, name) for name in ("exp", "nbf", "iat"))
    if expires_at is None:
        raise TokenRefused(Reason.TOKEN_CLAIMS_INVALID, "the exp claim is missing")
    if now >= expires_at + skew:
        raise TokenRefused(Reason.TOKEN_EXPIRED, f"expired {now - expires_at:.0f} s ago")
    for begin in (not_before, issued_at):
        if begin is not None and begin > now + skew:
            raise TokenRefused(Reason.TOKEN_NOT_YET_VALID, f"begins in {begin - now:.0f} s")


def _read_time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    # A time in milliseconds would be thousands of years ahead (edge case 70).
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise TokenRefused(Reason.TOKEN_CLAIMS_INVALID, f"the {name} claim is no time in seconds")
    return float(value)


def _shorten(value: object) -> str:
    """A value of the token, short and escaped for the log."""
    return repr(value)[:40]
