"""What a provider says of a user: an id_token held to OpenID Connect Core 3.1.3.7, and a user of ours made of it."""

import base64
import hashlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.fhir.reference import parse_reference
from gateway.keys.refused import TokenRefused
from gateway.keys.token import Unverified
from gateway.keys.verify import check_times
from gateway.oauth.authorization import User
from gateway.policy.claims import USER_TYPES
from gateway.web.smart.provider_errors import SignInError, SignInReason

# Asymmetric ones alone: neither `none` nor a signature by our own secret (RFC 8725 3.1 and 3.2).
ALGORITHMS = ("RS256", "ES256", "PS256", "RS384", "ES384")
# The clocks of two machines.
SKEW = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What an operator says of a provider."""

    name: str
    issuer: str
    client_id: str
    client_secret: str
    scopes: str
    name_claim: str
    fhir_user_claim: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in, and when: `at` is in seconds since the epoch, None where the provider does not say."""

    user: User
    at: float | None


def key_to_ask_for(token: Unverified) -> tuple[str | None, str]:
    """The key id and the algorithm, both before any key is looked at. Raises `SignInError`.

    `jku`, `x5u`, `jwk` and `x5c` are never read: a token does not say which keys to trust.
    """
    algorithm, kid = token.header.get("alg"), token.header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _not_believed(f"an id_token by the algorithm {algorithm!r}"[:100])
    if kid is not None and not isinstance(kid, str):
        raise _not_believed("an id_token whose kid is no string")
    if str(token.header.get("typ", "JWT")).upper() != "JWT":
        raise _not_believed("a token of another kind than an id_token")
    return kid, algorithm


def check_id_token(claims: Mapping[str, Any], told: ProviderSettings, nonce: str, now: float) -> None:
    """Raises `SignInError` unless the claims are of this provider, for us, for this login, and not over."""
    if claims.get("iss") != told.issuer:
        raise _not_believed("an id_token of another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if told.client_id not in audiences:
        raise _not_believed("an id_token for another client")
    if claims.get("azp", told.client_id if len(audiences) == 1 else None) != told.client_id:
        raise _not_believed("an id_token that another party was given (azp)")
    try:
        check_times(claims, SKEW, now)
    except TokenRefused as refused:
        raise _not_believed(f"the id_token: {refused.reason.value} {refused.detail}") from refused
    said = claims.get("nonce")
    if not isinstance(said, str) or not secrets.compare_digest(said.encode(), nonce.encode()):
        raise _not_believed("an id_token of another login (nonce)")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise _not_believed("an id_token without a subject")


def moment_of_login(claims: Mapping[str, Any], since: float | None, now: float) -> float | None:
    """When the user proved who it is. Raises `SignInError` unless that is known to be later than `since`, if any.

    The request to sign in anew goes through the user's browser, where it can be taken out: only `auth_time` tells
    (OpenID Connect Core 3.1.2.1).
    """
    said = claims.get("auth_time")
    known = isinstance(said, int | float) and not isinstance(said, bool) and 0 <= said <= now + SKEW
    at = min(float(said), now) if known and said is not None else None
    if since is not None and (at is None or at < since - SKEW):
        when = "is older" if at is not None else "has no auth_time"
        raise SignInError(SignInReason.NOT_FRESH, f"the app wants a login of its own, and this one {when}")
    return at


def user_of(claims: Mapping[str, Any], told: ProviderSettings, bases: Sequence[str]) -> User:
    """The user of ours. Two providers may name two people alike, so its subject is a digest of both names (ID-7)."""
    subject = str(claims["sub"])
    names = (claims.get(name) for name in (told.name_claim, "preferred_username"))
    ours = hashlib.sha256(f"{told.issuer}\n{subject}".encode()).digest()
    return User(
        subject=base64.urlsafe_b64encode(ours).rstrip(b"=").decode(),
        name=next((name for name in names if isinstance(name, str) and name.strip()), subject)[:200],
        fhir_user=_fhir_user(claims.get(told.fhir_user_claim), told, bases),
        provider=told.issuer,
    )


def _fhir_user(said: Any, told: ProviderSettings, bases: Sequence[str]) -> str | None:
    """The user's own resource, relative or below one of our bases; anything else is nobody's, and leaves a trace.

    A list of one is what directories make of an attribute that could have more values.
    """
    if said is None:
        return None
    own = said[0] if isinstance(said, list) and len(said) == 1 else said
    parsed = parse_reference(own, bases) if isinstance(own, str) else None
    if parsed is None or parsed.resource_type not in USER_TYPES or parsed.version_id is not None:
        where = {"provider": told.issuer, "claim": told.fhir_user_claim, "value": repr(said)[:100]}
        _log.warning("a claim of a provider names no user of this FHIR server", extra=where)
        return None
    return f"{parsed.resource_type}/{parsed.id}"


def _not_believed(detail: str) -> SignInError:
    return SignInError(SignInReason.NOT_BELIEVED, detail)
