"""Checks the token that is to be explained as the running gateway checks it, and says which setting decides."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.commands.admin_api_client import AdminApiClient, AdminApiError
from gateway.commands.explaining.explain_error import ExplainError
from gateway.credentials.build import build_trusted_issuer
from gateway.credentials.token_refused import TokenRefused
from gateway.credentials.unverified_token import MAX_TOKEN_LENGTH, UnverifiedToken, looks_like_jwt, parse_token
from gateway.credentials.verify_token import check_claims, check_header, check_kind, check_times
from gateway.policy.permission.access import Access
from gateway.policy.permission.claims import ClaimMapping, ClaimsError, access_from_claims
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.proxy.build import build_bearer_resolver
from gateway.proxy.lasting_parts import LastingProxyParts
from gateway.settings.authorization.issuers import Issuer
from gateway.settings.model import Settings
from gateway.storage.tokens.opaque_tokens import TokenKind
from gateway.upstream.documents.control_client import ControlClient

# Seconds; the default of issuers[].clock_skew_seconds, for a token that is explained without a configuration.
_DEFAULT_SKEW = 30.0
_FACTS: Mapping[Reason, tuple[str, str]] = {
    Reason.TOKEN_AUDIENCE_WRONG: ("aud", "audiences"),
    Reason.TOKEN_EXPIRED: ("exp", "clock_skew_seconds"),
    Reason.TOKEN_NOT_YET_VALID: ("nbf", "clock_skew_seconds"),
}
_HEADER_FACTS: Mapping[Reason, tuple[str, str]] = {
    Reason.TOKEN_ALGORITHM_REFUSED: ("alg", "algorithms"),
    Reason.TOKEN_NOT_AN_ACCESS_TOKEN: ("typ", "accepted_types"),
    Reason.TOKEN_KEY_UNKNOWN: ("kid", "jwks_url"),
}


@dataclass(frozen=True, slots=True)
class CheckedToken:
    """The access of a token. `note` says who checked it; `doubt` what could not be checked, empty if everything was."""

    access: Access
    note: str
    doubt: str = ""
    decode_scope_slash: bool = False


class TokenNotAccepted(Exception):
    """The running gateway refuses the token. `facts` are the values that decide, of the token and of the settings."""

    def __init__(self, reason: Reason, detail: str, facts: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.facts = facts


def check_token(token: str, settings: Settings | None, rules: Rules) -> CheckedToken:
    """Check a token. Raises `TokenNotAccepted`, and `ExplainError` if nothing can be said about it."""
    if settings is None:
        return _check_without_settings(token, rules)
    if settings.smart_server is not None and token.startswith(tuple(TokenKind)):
        return _ask_running_gateway(token, settings, rules)
    try:
        access = asyncio.run(_resolve(token, settings))
    except TokenRefused as refused:
        unverified, issuer = _find_issuer(token, settings)
        if refused.reason is Reason.TOKEN_CHECK_UNAVAILABLE and unverified is not None and issuer is not None:
            return _check_claims_alone(unverified, issuer, rules, refused)
        facts = _list_facts(refused.reason, unverified, issuer, settings)
        raise TokenNotAccepted(refused.reason, refused.detail, facts) from None
    _, issuer = _find_issuer(token, settings)
    decode = issuer is not None and issuer.decode_scope_slash
    return CheckedToken(access, "the token was checked as the running gateway checks it", "", decode)


async def _resolve(token: str, settings: Settings) -> Access:
    control_client = ControlClient()
    try:
        resolver = build_bearer_resolver(settings, control_client, None, LastingProxyParts(settings.overload))
        return await resolver.resolve(b"Bearer " + token.encode("ascii", "replace"), time.time())
    finally:
        await control_client.aclose()


def _check_without_settings(token: str, rules: Rules) -> CheckedToken:
    """Only the kind and the times: who may issue tokens, and for whom, is in the configuration."""
    if token.startswith(tuple(TokenKind)):
        raise ExplainError(
            "The gateway issued this token. Give --config, so that the running gateway can be asked for its claims."
        )
    try:
        unverified = parse_token(token)
        check_kind(unverified.claims)
        check_times(unverified.claims, _DEFAULT_SKEW, time.time())
        access = access_from_claims(unverified.claims, ClaimMapping(), rules.bases)
    except TokenRefused as refused:
        raise TokenNotAccepted(refused.reason, refused.detail) from None
    except ClaimsError as error:
        raise TokenNotAccepted(Reason.TOKEN_CLAIMS_INVALID, str(error)) from None
    note = "without --config, issuer, audience and signature of the token were not checked"
    return CheckedToken(access, note, "a gateway accepts the token")


def _check_claims_alone(
    unverified: UnverifiedToken, issuer: Issuer, rules: Rules, unavailable: TokenRefused
) -> CheckedToken:
    """Everything but the signature, where the keys cannot be had from here."""
    trusted = build_trusted_issuer(issuer)
    try:
        check_header(unverified, trusted)
        check_claims(unverified.claims, trusted, time.time())
        access = access_from_claims(unverified.claims, issuer.claim_mapping(), rules.bases)
    except TokenRefused as refused:
        raise TokenNotAccepted(refused.reason, refused.detail) from None
    except ClaimsError as error:
        raise TokenNotAccepted(Reason.TOKEN_CLAIMS_INVALID, str(error)) from None
    note = f"the signature of the token could not be checked here: {unavailable.detail}"
    return CheckedToken(access, note, "the signature of the token is valid", issuer.decode_scope_slash)


def _ask_running_gateway(token: str, settings: Settings, rules: Rules) -> CheckedToken:
    """The token is opaque, so the running gateway that issued it is asked for its claims."""
    if not token.startswith(TokenKind.ACCESS_TOKEN):
        raise TokenNotAccepted(Reason.TOKEN_NOT_AN_ACCESS_TOKEN, "a code, refresh token or launch of the gateway")
    try:
        claims = AdminApiClient(settings).token_claims(token)
        access = access_from_claims(claims, ClaimMapping(), rules.bases)
    except AdminApiError as error:
        if error.status == 404:
            raise TokenNotAccepted(Reason.TOKEN_INACTIVE, str(error)) from None
        raise ExplainError(str(error)) from error
    except ClaimsError as error:
        raise ExplainError(str(error)) from error
    return CheckedToken(access, "the running gateway issued the token and was asked for its claims")


def _find_issuer(token: str, settings: Settings) -> tuple[UnverifiedToken | None, Issuer | None]:
    """The token as far as it can be read, and the configured issuer whose keys verify it."""
    if len(token) > MAX_TOKEN_LENGTH or not looks_like_jwt(token):
        return None, None
    try:
        unverified = parse_token(token)
    except TokenRefused:
        return None, None
    name = unverified.claims.get("iss")
    return unverified, next(
        (entry for entry in settings.issuers if entry.issuer == name and entry.introspection is None), None
    )


def _list_facts(
    reason: Reason, unverified: UnverifiedToken | None, issuer: Issuer | None, settings: Settings
) -> tuple[str, ...]:
    """The claim of the token that decides, and the setting beside it."""
    if unverified is None:
        return ()
    if reason is Reason.TOKEN_ISSUER_UNKNOWN:
        known = ", ".join(entry.issuer for entry in settings.issuers) or "(none)"
        return f"the token says iss: {_show(unverified.claims.get('iss'))}", f"issuers[].issuer: {known}"
    if issuer is None:
        return ()
    index = settings.issuers.index(issuer)
    if reason in _HEADER_FACTS:
        claim, setting = _HEADER_FACTS[reason]
        if setting == "jwks_url" and issuer.jwks_url is None:
            setting = "jwks_file"
        value = unverified.header.get(claim)
    elif reason in _FACTS:
        claim, setting = _FACTS[reason]
        value = unverified.claims.get(claim)
        if claim in {"exp", "nbf"}:
            value = f"{_show(value)}, and now it is {time.time():.0f}"
    else:
        return ()
    decided = getattr(issuer, setting)
    shown = ", ".join(decided) if isinstance(decided, tuple) else str(decided)
    return f"the token says {claim}: {_show(value)}", f"issuers[{index}].{setting}: {shown}"


def _show(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text[:200] if text.isprintable() else ascii(text[:200])
