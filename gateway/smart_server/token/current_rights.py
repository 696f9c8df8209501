"""The rights that user and client still have when tokens are issued for an earlier grant."""

from dataclasses import replace

from gateway.oauth.authorization import Authorization, User
from gateway.oauth.client.client import Client
from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.oauth.granted_scopes import gives_access, grantable_scopes, with_both_forms
from gateway.oauth.scope_limits import ScopeLimits
from gateway.scopes.algebra import TooManyScopesError, covers_all
from gateway.scopes.format_scopes import format_scopes
from gateway.scopes.parse_scopes import ParsedScopes, ScopeError, parse_granted_scopes
from gateway.smart_server.dependencies import Dependencies


def invalid_grant(detail: str) -> OAuthError:
    """The same description for every cause, so that it does not reveal which codes and tokens exist (edge case 49)."""
    return OAuthError(
        ErrorCode.INVALID_GRANT, "The code or refresh token is not valid for this client and request.", detail=detail
    )


async def limit_to_current_rights(
    authorization: Authorization, client: Client, dependencies: Dependencies
) -> Authorization:
    """The authorization without the scopes that user or client have lost since (edge case 56).

    If the user's own FHIR resource or roles have changed, the authorization ends: for the rules this is another user.
    Raises `OAuthError`.
    """
    if authorization.user is None:
        return authorization
    user = await dependencies.users.reload(authorization.user)
    if user is None or not _is_the_same(user, authorization.user):
        await dependencies.storage.ends.end_authorization(authorization.authorization_id)
        raise invalid_grant("the user is gone, stands for another resource, or has other roles")
    granted = parse_granted_scopes(authorization.scope)
    try:
        permitted = grantable_scopes(granted, client, dependencies.user_scope_limits(user))
    except TooManyScopesError:
        raise invalid_grant("too many scopes would be needed to say what is left of the grant") from None
    if covers_all(permitted, granted):
        return authorization
    if not gives_access(permitted):
        raise invalid_grant("the rights of the user or of the client ended meanwhile")
    return replace(authorization, scope=format_scopes(with_both_forms(permitted, granted)))


def _is_the_same(user: User, granting: User) -> bool:
    return user.fhir_user == granting.fhir_user and frozenset(user.roles) == frozenset(granting.roles)


def read_requested_scopes(text: str, limits: ScopeLimits) -> ParsedScopes:
    """The scopes of a token or registration request. Raises `OAuthError`."""
    try:
        # One more than in an authorization request: the `launch/patient` that may be added to it (S-4).
        return limits.parse(text, spare=1)
    except ScopeError as error:
        raise OAuthError(ErrorCode.INVALID_SCOPE, str(error)) from error


def narrow_scope(granted: str, requested: str | None, limits: ScopeLimits) -> str:
    """The scope of a refreshed token: the granted scope, or the requested part of it (RF-6, edge cases 57-58).

    Raises `OAuthError`.
    """
    if requested is None:
        return granted
    parsed = read_requested_scopes(requested, limits)
    if parsed.refused or not parsed.scopes or not covers_all(parse_granted_scopes(granted), parsed.scopes):
        raise OAuthError(ErrorCode.INVALID_SCOPE, "The scope goes beyond what was granted.")
    return format_scopes(parsed.scopes)
