"""Checks the header and claims of a client assertion, all but its signature (checklist CA-2..CA-9, CA-13)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.oauth.client.client import AuthenticationMethod, Client

# SMART requires one of the first two. `none` and the HMAC algorithms must never be added: they can be forged without
# the private key (CA-2, fixed choice 10, RFC 8725 3.1).
ALGORITHMS = frozenset({"RS384", "ES384", "RS256", "ES256", "PS384"})
# Seconds. "No more than five minutes in the future" is by the client's clock, which may differ (CA-4, CA-13).
MAX_LIFETIME = 300.0
CLOCK_SKEW = 60.0
MAX_JTI_LENGTH = 256


class AssertionRefused(Exception):
    """Client authentication failed: `invalid_client` (CA-12). `detail` has the reason, and no secret."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class CheckedAssertion:
    """What remains to be checked: the signature by `algorithm` and `kid`, and the reuse of `jti`.

    The `jti` must be remembered until `replay_until`, in seconds since the epoch: so long the same assertion would be
    accepted again (CA-7). It was made at `issued_at` or later, which is `iat`, or the earliest time that `exp` allows.
    """

    algorithm: str
    kid: str
    jti: str
    replay_until: float
    issued_at: float


def check_assertion(
    header: Mapping[str, Any], claims: Mapping[str, Any], client: Client, token_endpoint: str, now: float
) -> CheckedAssertion:
    """Check header and claims for this client and token endpoint. `now` is in seconds since the epoch.

    The signature must still be verified. Raises `AssertionRefused`.
    """
    if client.authentication is not AuthenticationMethod.PRIVATE_KEY_JWT or client.disabled:
        raise AssertionRefused("the client is disabled, or not registered for private_key_jwt")
    algorithm, kid = _check_header(header, client)
    if asserted_client_id(claims) != client.client_id:
        raise AssertionRefused("iss and sub are another client's id")
    _check_audience(claims.get("aud"), token_endpoint)
    issued_at, expires_at = _check_times(claims, now)
    return CheckedAssertion(algorithm, kid, _read_jti(claims), expires_at + CLOCK_SKEW, issued_at)


def asserted_client_id(claims: Mapping[str, Any]) -> str:
    """The client_id that `iss` and `sub` must both be (CA-4, edge case 74). Raises `AssertionRefused`."""
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not issuer or claims.get("sub") != issuer:
        raise AssertionRefused("iss and sub must both be the client_id")
    return issuer


def _check_header(header: Mapping[str, Any], client: Client) -> tuple[str, str]:
    """Algorithm and key id. `jwk`, `x5c` and `x5u` are ignored: an assertion must not choose its own key."""
    algorithm, kid, token_type = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise AssertionRefused(f"alg {_quote(algorithm)} is not accepted")
    # RFC 7523 does not require typ. Other JWTs that a client signs fail the checks of iss, sub and aud.
    if not isinstance(token_type, str) or token_type.upper() != "JWT":
        raise AssertionRefused(f"typ {_quote(token_type)} is not JWT")
    if not isinstance(kid, str) or not kid:
        raise AssertionRefused("the header has no kid")
    # CA-9: checked before anything is fetched. A client with inline keys has no jwks_uri (edge case 69).
    if "jku" in header and (client.jwks_uri is None or header["jku"] != client.jwks_uri):
        raise AssertionRefused("jku is not the jwks_uri that the client registered")
    return algorithm, kid


def _check_audience(audience: object, token_endpoint: str) -> None:
    """Exactly our token endpoint, and no other audience: another server could replay the assertion (edge case 73)."""
    if audience not in (token_endpoint, [token_endpoint]):
        raise AssertionRefused("aud is not this token endpoint alone")


def _check_times(claims: Mapping[str, Any], now: float) -> tuple[float, float]:
    """Check `exp`, which is required, and `nbf` and `iat` if present (CA-13). Returns `iat` or its bound, and `exp`."""
    if "exp" not in claims:
        raise AssertionRefused("exp is missing")
    timestamps = {name: _read_timestamp(claims[name], name) for name in ("exp", "nbf", "iat") if name in claims}
    expires_at = timestamps.pop("exp")
    if now >= expires_at + CLOCK_SKEW:
        raise AssertionRefused(f"expired {now - expires_at:.0f} s ago")
    if expires_at > now + MAX_LIFETIME + CLOCK_SKEW:
        raise AssertionRefused(f"exp is {expires_at - now:.0f} s ahead, and {MAX_LIFETIME:.0f} s is the most")
    for name, timestamp in timestamps.items():
        if timestamp > now + CLOCK_SKEW:
            raise AssertionRefused(f"{name} is {timestamp - now:.0f} s ahead")
    return timestamps.get("iat", expires_at - MAX_LIFETIME), expires_at


def _read_timestamp(value: object, name: str) -> float:
    # A bool is an int in Python. The limits exclude NaN, infinity, and times in milliseconds (edge case 70).
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise AssertionRefused(f"{name} is not a time in seconds")
    return float(value)


def _read_jti(claims: Mapping[str, Any]) -> str:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI_LENGTH:
        raise AssertionRefused(f"jti must be a string of 1 to {MAX_JTI_LENGTH} characters")
    return jti


def _quote(value: object) -> str:
    """A value of the assertion, shortened and escaped for the log."""
    return repr(value)[:40]
