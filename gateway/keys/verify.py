"""The two steps of believing a token: its signature, then its claims. The clock is passed in."""

from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key

from gateway.keys.issuers import TrustedIssuer
from gateway.keys.refused import TokenRefused
from gateway.keys.token import Unverified
from gateway.policy.reasons import Reason

# Keycloak names the kind of a token in its payload; only this one is for a resource server (keycloak.md).
_ACCESS_KINDS = frozenset({"bearer", "at+jwt"})
# They stand in id_tokens and logout tokens only (OpenID Connect Core 2 and 3.1.3.6, Back-Channel Logout 2.4).
_ID_TOKEN_CLAIMS = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "events"})


def check_algorithm(token: Unverified, issuer: TrustedIssuer) -> str:
    """The algorithm, if it is on the issuer's list: checked before any key is looked up (RFC 8725 3.1).

    Raises `TokenRefused`.
    """
    algorithm = token.header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
        raise TokenRefused(Reason.TOKEN_ALGORITHM_REFUSED, f"algorithm {str(algorithm)[:20]!r}")
    kind = token.header.get("typ")
    if kind is not None and (not isinstance(kind, str) or kind.lower() not in issuer.accepted_types):
        raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, f"typ {str(kind)[:20]!r}")
    return algorithm


def check_signature(token: Unverified, key: Key, algorithm: str) -> None:
    """Raises `TokenRefused` unless the signature is the key's. Costs from 0.1 to 1 ms."""
    try:
        jws.deserialize_compact(token.text, key, algorithms=[algorithm])
    except (JoseError, ValueError) as error:
        raise TokenRefused(Reason.TOKEN_SIGNATURE_INVALID) from error


def check_claims(claims: Mapping[str, Any], issuer: TrustedIssuer, now: float) -> None:
    """Issuer, audience, times, and that it is an access token. `now` is in seconds since the epoch.

    Raises `TokenRefused`.
    """
    if claims.get("iss") != issuer.issuer:
        raise TokenRefused(Reason.TOKEN_ISSUER_UNKNOWN, "the issuer claim is another's")
    _check_kind(claims)
    audiences = _audiences(claims)
    if audiences.isdisjoint(issuer.audiences):
        raise TokenRefused(Reason.TOKEN_AUDIENCE_WRONG, "no audience of the token is ours")
    check_times(claims, issuer.clock_skew, now)


def check_times(claims: Mapping[str, Any], skew: float, now: float) -> None:
    """`exp` is required; `nbf` and `iat` are held to where they stand (RFC 7519 4.1). Raises `TokenRefused`."""
    expires, begins, issued = (_moment(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise TokenRefused(Reason.TOKEN_CLAIMS_INVALID, "the exp claim is missing")
    if now >= expires + skew:
        raise TokenRefused(Reason.TOKEN_EXPIRED)
    if any(moment is not None and moment > now + skew for moment in (begins, issued)):
        raise TokenRefused(Reason.TOKEN_NOT_YET_VALID)


def _check_kind(claims: Mapping[str, Any]) -> None:
    kind = claims.get("typ", "bearer")
    if not isinstance(kind, str) or kind.lower() not in _ACCESS_KINDS:
        raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, f"typ claim {str(kind)[:20]!r}")
    if not _ID_TOKEN_CLAIMS.isdisjoint(claims):
        raise TokenRefused(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, "it has claims of an id_token")


def _audiences(claims: Mapping[str, Any]) -> frozenset[str]:
    audience = claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    return frozenset(one for one in listed if isinstance(one, str))


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    # A moment in milliseconds would be centuries ahead (edge case 70).
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise TokenRefused(Reason.TOKEN_CLAIMS_INVALID, f"the {name} claim is no time")
    return float(value)
