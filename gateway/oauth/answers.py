"""What the token and introspection endpoints say of an authorization (checklist T-7..T-11, LC, IN-2..IN-7)."""

from typing import Any

from gateway.oauth.authorization import AccessToken, Authorization
from gateway.oauth.granting import FHIR_USER, OPENID, PROFILE
from gateway.scopes.parse import parse_scopes

INACTIVE: dict[str, Any] = {"active": False}


def token_answer(
    access_token: str,
    told: AccessToken,
    authorization: Authorization,
    *,
    refresh_token: str | None,
    id_token: str | None,
) -> dict[str, Any]:
    """The members of a token response; `expires_in` is a number, `scope` always there (T-7, T-8)."""
    answer: dict[str, Any] = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": round(told.expires_at - told.issued_at),
        "scope": told.scope,
        **authorization.context.parameters(),
    }
    if refresh_token is not None:
        answer["refresh_token"] = refresh_token
    if id_token is not None:
        answer["id_token"] = id_token
    return answer


def introspection_answer(told: AccessToken, authorization: Authorization, issuer: str) -> dict[str, Any]:
    """An active token: the scope and context of the token response, and whose it is (IN-2..IN-7, edge 140-142)."""
    answer: dict[str, Any] = {
        "active": True,
        "scope": told.scope,
        "client_id": authorization.client_id,
        "exp": int(told.expires_at),
        "iat": int(told.issued_at),
        "token_type": "Bearer",
        "aud": authorization.audience,
        "iss": issuer,
        **authorization.context.parameters(),
    }
    user = authorization.user
    answer["sub"] = authorization.client_id if user is None else user.subject
    if user is not None and tells_fhir_user(authorization) and user.fhir_user is not None:
        answer["fhirUser"] = f"{authorization.audience}/{user.fhir_user}"
    return answer


def issues_id_token(authorization: Authorization, scope: str) -> bool:
    """Whether `openid` is in the scope of this token (ID-1): a refresh may have left it out."""
    return authorization.user is not None and OPENID in parse_scopes(scope).scopes


def tells_fhir_user(authorization: Authorization) -> bool:
    """Whether the app was granted to know the user's own resource (ID-2)."""
    scopes = parse_scopes(authorization.scope).scopes
    return OPENID in scopes and (FHIR_USER in scopes or PROFILE in scopes)


def id_token_claims(authorization: Authorization, issuer: str, now: float, lifetime: int) -> dict[str, Any]:
    """The claims of an id_token (ID-2, ID-7). `now` is in seconds since the epoch, `lifetime` in seconds.

    `fhirUser` is absolute, under the base that the app asked for (edge case 147).
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
    if tells_fhir_user(authorization) and user.fhir_user is not None:
        claims["fhirUser"] = f"{authorization.audience}/{user.fhir_user}"
    return claims


def userinfo(authorization: Authorization) -> dict[str, Any]:
    """Who signed in, as Aidbox tells it beside the tokens: what the id_token says of the user, and the name."""
    user = authorization.user
    assert user is not None
    told = {"sub": user.subject, "name": user.name}
    if tells_fhir_user(authorization) and user.fhir_user is not None:
        told["fhirUser"] = f"{authorization.audience}/{user.fhir_user}"
    return told
