"""What of a grant its user and its client may still have: it is looked at again whenever tokens are made of it."""

from dataclasses import replace

from gateway.oauth.authorization import Authorization
from gateway.oauth.client import Client
from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.oauth.granting import MAX_SCOPES, grantable, opens_anything, weight
from gateway.scopes.algebra import covers_any
from gateway.scopes.model import Scope
from gateway.scopes.parse import ParsedScopes, ScopeError, parse_scopes
from gateway.scopes.unparse import unparse
from gateway.web.smart.parts import SmartParts


def invalid_grant(detail: str) -> OAuthError:
    """One sentence for all, so that nobody learns which codes and tokens there are (edge case 49)."""
    return OAuthError(
        ErrorCode.INVALID_GRANT, "The code or refresh token is not valid for this client and request.", detail=detail
    )


async def within_rights(authorization: Authorization, client: Client, parts: SmartParts) -> Authorization:
    """What the user agreed to, less what user and client may not have any more (edge case 56).

    A user whose own resource is another by now, or none, is somebody else to the FHIR server: nothing is left of what
    was granted then. Raises `OAuthError`.
    """
    if authorization.user is None:
        return authorization
    user = await parts.users.current(authorization.user)
    if user is None or user.fhir_user != authorization.user.fhir_user:
        await parts.remembered.end(authorization.authorization_id)
        raise invalid_grant("the user is gone, or stands for another resource")
    granted = parse_scopes(authorization.scope).scopes
    kept = grantable(granted, client, parts.limits_of(user))
    if _are_covered(granted, kept):
        return authorization
    if not opens_anything(kept):
        raise invalid_grant("the rights of the user or of the client ended meanwhile")
    return replace(authorization, scope=unparse(kept))


def asked_scopes(text: str) -> ParsedScopes:
    """The scopes that a token request names. Raises `OAuthError`."""
    try:
        parsed = parse_scopes(text)
    except ScopeError as error:
        raise OAuthError(ErrorCode.INVALID_SCOPE, str(error)) from error
    # As many as a request for access may name, and the `launch/patient` that is granted beside them (S-4).
    if weight(parsed.scopes) > MAX_SCOPES + 1:
        raise OAuthError(ErrorCode.INVALID_SCOPE, f"More than {MAX_SCOPES} scopes, or constraints of scopes.")
    return parsed


def narrowed(granted: str, asked: str | None) -> str:
    """The scope of a refreshed token: all that was granted, or the part that was asked for (RF-6, edge 57-58)."""
    if asked is None:
        return granted
    parsed = asked_scopes(asked)
    if parsed.refused or not parsed.scopes or not _are_covered(parsed.scopes, parse_scopes(granted).scopes):
        raise OAuthError(ErrorCode.INVALID_SCOPE, "The scope goes beyond what was granted.")
    return unparse(parsed.scopes)


def _are_covered(scopes: tuple[Scope, ...], by: tuple[Scope, ...]) -> bool:
    same = frozenset(by)
    return all(one in same or covers_any(by, one) for one in scopes)
