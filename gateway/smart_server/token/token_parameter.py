"""The parameters that `/introspect` and `/revoke` share."""

from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.oauth.parameters import Parameters

CREDENTIAL_PARAMETERS = ("client_id", "client_secret", "client_assertion", "client_assertion_type")
_PARAMETERS = ("token", "token_type_hint", *CREDENTIAL_PARAMETERS)


def check_repeated_parameters(parameters: Parameters, names: tuple[str, ...] = _PARAMETERS) -> None:
    """Raises `OAuthError` if a parameter occurs more than once (RFC 6749 3.2)."""
    repeated = parameters.first_repeated(names)
    if repeated is not None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"The parameter {repeated} occurs more than once.")


def read_token_parameter(parameters: Parameters) -> str:
    """The parameter `token`. Raises `OAuthError`."""
    if parameters.first_repeated(("token",)) is not None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The parameter token occurs more than once.")
    token = parameters.get("token")
    if token is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The parameter token is missing.")
    return token
