"""Validation of a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.settings.authorization.smart_server import IdentityProvider
from gateway.smart_server.openid_provider.id_token import CLOCK_SKEW, provider_subject, read_provider_session
from gateway.smart_server.openid_provider.provider_errors import ProviderLoginError, ProviderLoginReason

# Of the header's `typ`, in capitals. Section 2.4 recommends `logout+jwt`; providers that are older send `JWT` or none.
LOGOUT_TOKEN_TYPES = frozenset({"LOGOUT+JWT", "JWT"})
_EVENT = "http://schemas.openid.net/event/backchannel-logout"
# A logout token is sent at once. Section 2.4 recommends that it expires within two minutes.
_MAX_AGE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class ProviderLogout:
    """Who has signed out at a provider.

    `subject` is that of the user here, `provider_session` that of `Session`; at least one of them is given. Until
    `replayable_until`, in seconds since the epoch, the token may be sent again, and its `jti` must be remembered.
    """

    subject: str | None
    provider_session: str | None
    jti: str
    replayable_until: float


def read_logout(claims: Mapping[str, Any], provider: IdentityProvider, now: float) -> ProviderLogout:
    """What the claims of a logout token say, after its signature was verified. Raises `ProviderLoginError`."""
    audience = claims.get("aud")
    if claims.get("iss") != provider.issuer:
        raise _not_trusted("from another issuer")
    if provider.client_id not in (audience if isinstance(audience, list) else [audience]):
        raise _not_trusted("for another client (aud)")
    issued_at = _read_time(claims, "iat")
    if issued_at is None or not now - _MAX_AGE_SECONDS - CLOCK_SKEW <= issued_at <= now + CLOCK_SKEW:
        raise _not_trusted("too old, from the future, or without a time (iat)")
    # Required since the final specification; older providers leave it out, and `iat` limits their tokens.
    expires_at = _read_time(claims, "exp")
    if "exp" in claims and (expires_at is None or now >= expires_at + CLOCK_SKEW):
        raise _not_trusted("expired (exp)")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(_EVENT), dict):
        raise _not_trusted("not about a logout (events)")
    if "nonce" in claims:
        raise _not_trusted("has a nonce, as an id_token has")
    jti, subject = claims.get("jti"), claims.get("sub")
    if not isinstance(jti, str) or not jti:
        raise _not_trusted("without a jti")
    if subject is not None and (not isinstance(subject, str) or not subject):
        raise _not_trusted("with a sub that is no text")
    provider_session = read_provider_session(claims, provider)
    if subject is None and provider_session is None:
        raise _not_trusted("without sub and sid")
    return ProviderLogout(
        subject=None if subject is None else provider_subject(provider.issuer, subject),
        provider_session=provider_session,
        jti=jti,
        replayable_until=issued_at + _MAX_AGE_SECONDS + CLOCK_SKEW,
    )


def _read_time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _not_trusted(detail: str) -> ProviderLoginError:
    return ProviderLoginError(ProviderLoginReason.NOT_TRUSTED, f"logout token: {detail}")
