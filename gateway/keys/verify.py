"""The two steps of believing a token: its signature, then its claims. The clock is passed in."""

import asyncio
from collections.abc import Mapping
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from gateway.keys.issuers import TrustedIssuer
from gateway.keys.jwks import JwksSource
from gateway.keys.lane import Lane
from gateway.keys.refused import TokenRefused
from gateway.keys.token import Unverified
from gateway.policy.reasons import Reason

# Half a millisecond and more; the others cost less than the way to a thread and back.
_SLOW = frozenset({"ES384", "ES512"})
# The signature library holds the interpreter lock, so a third thread would win nothing and only crowd the event loop.
_WIDTH = 2
_WAITING = 512

# Keycloak and Cognito name the kind of a token in its payload; only these are for a resource server (keycloak.md).
_KIND_CLAIMS: Mapping[str, frozenset[str]] = {
    "typ": frozenset({"bearer", "at+jwt"}),
    "token_use": frozenset({"access", "access_token"}),
}
# They stand in id_tokens and logout tokens only (OpenID Connect Core 2 and 3.3.2.11, Back-Channel Logout 2.4).
_ID_TOKEN_CLAIMS = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "events"})
_CLIENT_CLAIMS = ("azp", "client_id", "appid", "cid")


class Verifier:
    """Checks the signed tokens of one issuer, few at a time."""

    def __init__(self, issuer: TrustedIssuer, keys: JwksSource) -> None:
        """`keys` are that issuer's."""
        self._issuer = issuer
        self._keys = keys
        self._lane = Lane(width=_WIDTH, waiting=_WAITING)

    async def claims(self, token: Unverified, now: float) -> Mapping[str, Any]:
        """The claims of a token that holds. `now` is in seconds since the epoch. Raises `TokenRefused`.

        The claims are looked at first: that costs nothing, and a token that is over, or for another, needs neither a
        key nor a signature check.
        """
        algorithm = check_header(token, self._issuer)
        check_claims(token.claims, self._issuer, now)
        kid = token.header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise TokenRefused(Reason.TOKEN_MALFORMED, "the kid is no string")
        key = await self._keys.key(kid, algorithm, now)
        async with self._lane:
            if algorithm in _SLOW:
                await asyncio.to_thread(check_signature, token, key, algorithm)
            else:
                check_signature(token, key, algorithm)
        return token.claims


def check_header(token: Unverified, issuer: TrustedIssuer) -> str:
    """The algorithm, if it is on the issuer's list: checked before any key is looked up (RFC 8725 3.1).

    Other members of the header (`jku`, `x5u`, `jwk`, `x5c`) are never read: a token does not say which keys to trust.
    Raises `TokenRefused`.
    """
    algorithm = token.header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
        raise TokenRefused(Reason.TOKEN_ALGORITHM_REFUSED, f"algorithm {_quoted(algorithm)}")
    kind = token.header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in issuer.accepted_types:
        raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, f"typ {_quoted(kind)} in the header")
    return algorithm


def check_signature(token: Unverified, key: Key, algorithm: str) -> None:
    """Raises `TokenRefused` unless the signature is the key's. Costs from 0.02 to 1 ms."""
    model = JWSRegistry.algorithms[algorithm]
    try:
        model.check_key(key)
        valid = model.verify(token.signed, token.signature, key)
    except (JoseError, ValueError) as error:
        raise TokenRefused(Reason.TOKEN_SIGNATURE_INVALID, "the signature cannot be read") from error
    if not valid:
        raise TokenRefused(Reason.TOKEN_SIGNATURE_INVALID, "the signature is not the key's")


def check_claims(claims: Mapping[str, Any], issuer: TrustedIssuer, now: float) -> None:
    """Issuer, kind, audience and times of a signed token. `now` is in seconds since the epoch.

    Raises `TokenRefused`.
    """
    if claims.get("iss") != issuer.issuer:
        raise TokenRefused(Reason.TOKEN_ISSUER_UNKNOWN, "the issuer claim is another's")
    kind_told = check_kind(claims)
    audiences = check_audience(claims, issuer)
    # An id_token is for the client alone (OpenID Connect Core 2), and where nothing else tells, that does.
    if not kind_told and all(one in [claims.get(name) for name in _CLIENT_CLAIMS] for one in audiences):
        raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, "its only audience is its client, as in an id_token")
    check_times(claims, issuer.clock_skew, now)


def check_kind(claims: Mapping[str, Any]) -> bool:
    """Whether the claims say that this is an access token. Raises `TokenRefused` where they say it is another."""
    told = False
    for name, kinds in _KIND_CLAIMS.items():
        if name in claims:
            kind = claims[name]
            if not isinstance(kind, str) or kind.lower() not in kinds:
                raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, f"its {name} claim is {_quoted(kind)}")
            told = True
    found = sorted(_ID_TOKEN_CLAIMS & claims.keys())
    if found:
        raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, f"it has the claim {found[0]} of an id or logout token")
    return told


def check_audience(claims: Mapping[str, Any], issuer: TrustedIssuer) -> frozenset[str]:
    """The audiences of the token, one of which is ours (RFC 7519 4.1.3). Raises `TokenRefused`."""
    audience = claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    audiences = frozenset(one for one in listed if isinstance(one, str))
    if audiences.isdisjoint(issuer.audiences):
        raise TokenRefused(Reason.TOKEN_AUDIENCE_WRONG, "no audience of the token is ours")
    return audiences


def check_times(claims: Mapping[str, Any], skew: float, now: float) -> None:
    """`exp` is required; `nbf` and `iat` are held to where they stand (RFC 7519 4.1). Raises `TokenRefused`."""
    expires, begins, issued = (_moment(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise TokenRefused(Reason.TOKEN_CLAIMS_INVALID, "the exp claim is missing")
    if now >= expires + skew:
        raise TokenRefused(Reason.TOKEN_EXPIRED, f"expired {now - expires:.0f} s ago")
    for moment in (begins, issued):
        if moment is not None and moment > now + skew:
            raise TokenRefused(Reason.TOKEN_NOT_YET_VALID, f"begins in {moment - now:.0f} s")


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    # A moment in milliseconds would be centuries ahead (edge case 70).
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise TokenRefused(Reason.TOKEN_CLAIMS_INVALID, f"the {name} claim is no time in seconds")
    return float(value)


def _quoted(value: object) -> str:
    """A value of the token in a form that is safe and short in a log."""
    return repr(value)[:40]
