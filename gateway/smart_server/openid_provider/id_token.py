"""Validation of an id_token (OpenID Connect Core 3.1.3.7), and the user that its claims describe."""

import base64
import hashlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.credentials.token_refused import TokenRefused
from gateway.credentials.unverified_token import UnverifiedToken
from gateway.credentials.verify_token import check_times
from gateway.fhir.reference import parse_reference
from gateway.oauth.authorization import User
from gateway.policy.permission.claims import USER_TYPES, read_codes
from gateway.settings.authorization.smart_server import IdentityProvider
from gateway.smart_server.openid_provider.provider_errors import ProviderLoginError, ProviderLoginReason

# Only asymmetric algorithms: neither `none` nor a signature with the client secret (RFC 8725 3.1 and 3.2).
ALGORITHMS = ("RS256", "ES256", "PS256", "RS384", "ES384")
# Of the header's `typ`, in capitals.
ID_TOKEN_TYPES = frozenset({"JWT"})
# The allowed difference between the clocks of the two servers, in seconds.
CLOCK_SKEW = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProviderLogin:
    """A user who signed in at a provider.

    `signed_in_at` is in seconds since the epoch, and None if the provider does not say. `provider_session` is that of
    `Session`.
    """

    user: User
    signed_in_at: float | None
    provider_session: str | None = None


def read_key_id(token: UnverifiedToken, types: frozenset[str]) -> tuple[str | None, str]:
    """The key id and the algorithm in the header of a token of one of these types. Raises `ProviderLoginError`.

    `jku`, `x5u`, `jwk` and `x5c` are never read: a token must not say which keys to trust.
    """
    algorithm, kid = token.header.get("alg"), token.header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _not_trusted(f"a token with algorithm {algorithm!r}"[:100])
    if kid is not None and not isinstance(kid, str):
        raise _not_trusted("a token whose kid is not a string")
    if str(token.header.get("typ", "JWT")).upper() not in types:
        raise _not_trusted("the token is of another type (typ)")
    return kid, algorithm


def check_id_token(claims: Mapping[str, Any], provider: IdentityProvider, nonce: str, now: float) -> None:
    """Check issuer, audience, times, nonce and subject of an id_token. Raises `ProviderLoginError`."""
    if claims.get("iss") != provider.issuer:
        raise _not_trusted("id_token from another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if provider.client_id not in audiences:
        raise _not_trusted("id_token for another client (aud)")
    if claims.get("azp", provider.client_id if len(audiences) == 1 else None) != provider.client_id:
        raise _not_trusted("id_token issued to another party (azp)")
    try:
        check_times(claims, CLOCK_SKEW, now)
    except TokenRefused as refused:
        raise _not_trusted(f"id_token: {refused.reason.value} {refused.detail}") from refused
    nonce_claim = claims.get("nonce")
    if not isinstance(nonce_claim, str) or not secrets.compare_digest(nonce_claim.encode(), nonce.encode()):
        raise _not_trusted("id_token of another login (nonce)")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise _not_trusted("id_token without a subject")


def read_login_time(claims: Mapping[str, Any], oldest_login: float | None, now: float) -> float | None:
    """When the user signed in, in seconds since the epoch; None if the provider does not say.

    Raises `ProviderLoginError` if `oldest_login` is given and the login is older, or its time unknown. A user can
    remove `prompt` from the request to the provider, so that only `auth_time` proves a new login (OpenID Connect Core
    3.1.2.1).
    """
    auth_time = claims.get("auth_time")
    signed_in_at = None
    if isinstance(auth_time, int | float) and not isinstance(auth_time, bool) and 0 <= auth_time <= now + CLOCK_SKEW:
        signed_in_at = min(float(auth_time), now)
    if oldest_login is not None and (signed_in_at is None or signed_in_at < oldest_login - CLOCK_SKEW):
        problem = "is too old" if signed_in_at is not None else "has no auth_time"
        raise ProviderLoginError(
            ProviderLoginReason.NOT_FRESH, f"the app requires a new login, but the login {problem}"
        )
    return signed_in_at


def read_user(claims: Mapping[str, Any], provider: IdentityProvider, fhir_base_urls: Sequence[str]) -> User:
    """The user. Its subject is a digest of issuer and subject, because two providers may use the same one (ID-7)."""
    subject = str(claims["sub"])
    names = (claims.get(claim) for claim in (provider.name_claim, "preferred_username"))
    return User(
        subject=provider_subject(provider.issuer, subject),
        name=next((name for name in names if isinstance(name, str) and name.strip()), subject)[:200],
        fhir_user=_read_fhir_user(claims.get(provider.fhir_user_claim), provider, fhir_base_urls),
        provider=provider.issuer,
        roles=() if provider.roles_claim is None else tuple(sorted(read_codes(claims, (provider.roles_claim,)))),
    )


def provider_subject(issuer: str, subject: str) -> str:
    """The subject here of a user who is `subject` at a provider."""
    subject_digest = hashlib.sha256(f"{issuer}\n{subject}".encode()).digest()
    return base64.urlsafe_b64encode(subject_digest).rstrip(b"=").decode()


def read_provider_session(claims: Mapping[str, Any], provider: IdentityProvider) -> str | None:
    """The name of the session at the provider, if the claims tell its `sid` (OpenID Connect Front-Channel Logout 3)."""
    sid = claims.get("sid")
    return f"{provider.issuer}\n{sid}" if isinstance(sid, str) and sid else None


def _read_fhir_user(claim: Any, provider: IdentityProvider, fhir_base_urls: Sequence[str]) -> str | None:
    """A relative reference to the user's own resource, or None, with a log line, if the claim names none here.

    Directories return a list with one value for an attribute that may have several.
    """
    if claim is None:
        return None
    reference = claim[0] if isinstance(claim, list) and len(claim) == 1 else claim
    parsed = parse_reference(reference, fhir_base_urls) if isinstance(reference, str) else None
    if parsed is None or parsed.resource_type not in USER_TYPES or parsed.version_id is not None:
        details = {"provider": provider.issuer, "claim": provider.fhir_user_claim, "value": repr(claim)[:100]}
        _log.warning("a claim of a provider names no user of this FHIR server", extra=details)
        return None
    return f"{parsed.resource_type}/{parsed.id}"


def _not_trusted(detail: str) -> ProviderLoginError:
    return ProviderLoginError(ProviderLoginReason.NOT_TRUSTED, detail)
