"""What a client's assertion must say of itself before its signature is worth a look (checklist CA-2..CA-9, CA-13)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.oauth.client import AuthenticationMethod, Client

# SMART asks for one of the first two; `none` and the HMACs can never be here, since whoever knows the public key or
# nothing at all could write them (CA-2, fixed choice 10, RFC 8725 3.1).
ALGORITHMS = frozenset({"RS384", "ES384", "RS256", "ES256", "PS384"})
# Seconds. "No more than five minutes in the future" is measured on the client's clock, ours may differ (CA-4, CA-13).
LONGEST_LIFE = 300.0
CLOCK_SKEW = 60.0
MAX_JTI_LENGTH = 256


class AssertionRefused(Exception):
    """The client has not proved itself: `invalid_client` (CA-12). `detail` says why and quotes no secret."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class CheckedAssertion:
    """What an assertion that may be believed, once its signature holds, comes down to.

    Until `replay_until`, in seconds since the epoch, the same assertion would be accepted again, so that its `jti` has
    to be remembered (CA-7).
    """

    algorithm: str
    kid: str
    jti: str
    replay_until: float


def check_assertion(
    header: Mapping[str, Any], claims: Mapping[str, Any], client: Client, token_endpoint: str, now: float
) -> CheckedAssertion:
    """Header and claims against the client and our token endpoint. `now` is in seconds since the epoch.

    Raises `AssertionRefused`. The signature is still to be verified.
    """
    if client.authentication is not AuthenticationMethod.PRIVATE_KEY_JWT or client.disabled:
        raise AssertionRefused("the client is disabled, or not registered for private_key_jwt")
    algorithm, kid = _check_header(header, client)
    if asserted_client_id(claims) != client.client_id:
        raise AssertionRefused("iss and sub are another client's id")
    _check_audience(claims.get("aud"), token_endpoint)
    expires = _check_times(claims, now)
    return CheckedAssertion(algorithm, kid, _jti(claims), expires + CLOCK_SKEW)


def asserted_client_id(claims: Mapping[str, Any]) -> str:
    """The client that the claims name, in `iss` and `sub` alike (CA-4, edge case 74). Raises `AssertionRefused`."""
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not issuer or claims.get("sub") != issuer:
        raise AssertionRefused("iss and sub must both be the client_id")
    return issuer


def _check_header(header: Mapping[str, Any], client: Client) -> tuple[str, str]:
    """Algorithm and key id. `jwk`, `x5c` and `x5u` are not read: an assertion does not say whom to trust."""
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise AssertionRefused(f"alg {_quoted(algorithm)} is not accepted")
    # Without a typ it passes: RFC 7523 asks for none, and what other kinds of JWT a client signs fail by iss, sub
    # and aud. One that names another kind was not made for this.
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise AssertionRefused(f"typ {_quoted(kind)} is not JWT")
    if not isinstance(kid, str) or not kid:
        raise AssertionRefused("the header has no kid")
    # CA-9: before anything is fetched. A client with inline keys has no address to name (edge case 69).
    if "jku" in header and (client.jwks_uri is None or header["jku"] != client.jwks_uri):
        raise AssertionRefused("jku is not the jwks_uri that the client registered")
    return algorithm, kid


def _check_audience(audience: object, token_endpoint: str) -> None:
    """One audience, ours to the letter: beside another one, the other could replay it here (edge case 73)."""
    if audience not in (token_endpoint, [token_endpoint]):
        raise AssertionRefused("aud is not this token endpoint alone")


def _check_times(claims: Mapping[str, Any], now: float) -> float:
    """`exp`, which is required; `nbf` and `iat` hold where they stand (CA-13)."""
    if "exp" not in claims:
        raise AssertionRefused("exp is missing")
    moments = {name: _moment(claims[name], name) for name in ("exp", "nbf", "iat") if name in claims}
    expires = moments.pop("exp")
    if now >= expires + CLOCK_SKEW:
        raise AssertionRefused(f"expired {now - expires:.0f} s ago")
    if expires > now + LONGEST_LIFE + CLOCK_SKEW:
        raise AssertionRefused(f"exp is {expires - now:.0f} s ahead, and {LONGEST_LIFE:.0f} s is the most")
    for name, moment in moments.items():
        if moment > now + CLOCK_SKEW:
            raise AssertionRefused(f"{name} is {moment - now:.0f} s ahead")
    return expires


def _moment(value: object, name: str) -> float:
    # JSON's true is an int to Python. The limits also leave out NaN and infinity, and moments in milliseconds, which
    # would be centuries ahead (edge case 70).
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise AssertionRefused(f"{name} is no time in seconds")
    return float(value)


def _jti(claims: Mapping[str, Any]) -> str:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI_LENGTH:
        raise AssertionRefused(f"jti must be a string of 1 to {MAX_JTI_LENGTH} characters")
    return jti


def _quoted(value: object) -> str:
    """A value of the assertion in a form that is safe and short in a log."""
    return repr(value)[:40]
