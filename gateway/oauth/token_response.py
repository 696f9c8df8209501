"""Token and introspection responses, and the claims of id_tokens (checklist T-7..T-11, LC, IN-2..IN-7)."""

from typing import Any

from gateway.oauth.authorization import AccessToken, Authorization
from gateway.oauth.granted_scopes import FHIR_USER, OPENID, PROFILE
from gateway.scopes.parse_scopes import parse_granted_scopes

INACTIVE: dict[str, Any] = {"active": False}


def token_response(
    access_token: str,
    meaning: AccessToken,
    authorization: Authorization,
    *,
    refresh_token: str | None,
    id_token: str | None,
) -> dict[str, Any]:
    """The members of a token response. `expires_in` is a number, `scope` is always present (T-7, T-8)."""
    response: dict[str, Any] = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": round(meaning.expires_at - meaning.issued_at),
        "scope": meaning.scope,
        **authorization.context.parameters(),
    }
    if refresh_token is not None:
        response["refresh_token"] = refresh_token
    if id_token is not None:
        response["id_token"] = id_token
    return response


def introspection_response(meaning: AccessToken, authorization: Authorization, issuer: str) -> dict[str, Any]:
    """The introspection response of an active token (IN-2..IN-7, edge cases 140-142)."""
    response: dict[str, Any] = {
        "active": True,
        "scope": meaning.scope,
        "client_id": authorization.client_id,
        "exp": int(meaning.expires_at),
        "iat": int(meaning.issued_at),
        "token_type": "Bearer",
        "aud": authorization.audience,
        "iss": issuer,
        **authorization.context.parameters(),
    }
    if meaning.certificate_thumbprint is not None:
        response["cnf"] = {"x5t#S256": meaning.certificate_thumbprint}
    user = authorization.user
    response["sub"] = authorization.client_id if user is None else user.subject
    if user is not None and discloses_fhir_user(authorization) and user.fhir_user is not None:
        response["fhirUser"] = f"{authorization.audience}/{user.fhir_user}"
    if user is not None and user.roles:
        response["roles"] = list(user.roles)
    if authorization.purpose_of_use:
        response["purpose_of_use"] = authorization.purpose_of_use
    return response


def issues_id_token(authorization: Authorization, scope: str) -> bool:
    """Whether the scope of this token has `openid` (ID-1). A refresh may have omitted it."""
    return authorization.user is not None and OPENID in parse_granted_scopes(scope)


def discloses_fhir_user(authorization: Authorization) -> bool:
    """Whether the scope lets the app know the user's own FHIR resource (ID-2)."""
    scopes = parse_granted_scopes(authorization.scope)
    return OPENID in scopes and (FHIR_USER in scopes or PROFILE in scopes)


def id_token_claims(authorization: Authorization, issuer: str, now: float, lifetime: int) -> dict[str, Any]:
    """The claims of an id_token (ID-2, ID-7). `now` is in seconds since the epoch, `lifetime` in seconds.

    `fhirUser` is an absolute URL below the `aud` of the request (edge case 147).
    """
    user = authorization.user
    assert user is not None
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": user.subject,
        "aud": authorization.client_id,
        "iat": int(now),
        "exp": int(now) + lifetime,
    }
    if authorization.signed_in_at is not None:
        claims["auth_time"] = int(authorization.signed_in_at)
    if authorization.nonce is not None:
        claims["nonce"] = authorization.nonce
    if discloses_fhir_user(authorization) and user.fhir_user is not None:
        claims["fhirUser"] = f"{authorization.audience}/{user.fhir_user}"
    return claims


def userinfo(authorization: Authorization) -> dict[str, Any]:
    """`userinfo` of a token response, as in Aidbox: the user claims of the id_token, and the name."""
    user = authorization.user
    assert user is not None
    claims = {"sub": user.subject, "name": user.name}
    if discloses_fhir_user(authorization) and user.fhir_user is not None:
        claims["fhirUser"] = f"{authorization.audience}/{user.fhir_user}"
    return claims
