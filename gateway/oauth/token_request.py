"""Reads token requests by grant type, before client authentication (checklist 1.8, 1.9, 1.11)."""

from dataclasses import dataclass
from typing import assert_never

from gateway.oauth.client.client import GrantType
from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.oauth.parameters import Parameters

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_PARAMETERS = (
    "grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret", "refresh_token", "scope",
    "client_assertion", "client_assertion_type",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuthorizationCodeGrant:
    """`grant_type=authorization_code`."""

    code: str
    redirect_uri: str
    code_verifier: str | None


@dataclass(frozen=True, slots=True)
class RefreshTokenGrant:
    """`grant_type=refresh_token`. Without `scope` the whole granted scope is requested (RF-6)."""

    refresh_token: str
    scope: str | None


@dataclass(frozen=True, slots=True)
class ClientCredentialsGrant:
    """`grant_type=client_credentials`. `scope` is required (edge case 78)."""

    scope: str


TokenRequest = AuthorizationCodeGrant | RefreshTokenGrant | ClientCredentialsGrant


def read_token_request(parameters: Parameters) -> TokenRequest:
    """The token request. Raises `OAuthError`."""
    repeated = parameters.first_repeated(_PARAMETERS)
    if repeated is not None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"The parameter {repeated} occurs more than once.")
    grant_type_text = _require(parameters, "grant_type")
    try:
        grant_type = GrantType(grant_type_text)
    except ValueError:
        raise OAuthError(ErrorCode.UNSUPPORTED_GRANT_TYPE, "This grant_type is not supported here.") from None
    match grant_type:
        case GrantType.AUTHORIZATION_CODE:
            code, redirect_uri = _require(parameters, "code"), _require(parameters, "redirect_uri")
            return AuthorizationCodeGrant(code, redirect_uri, parameters.get("code_verifier"))
        case GrantType.REFRESH_TOKEN:
            return RefreshTokenGrant(_require(parameters, "refresh_token"), parameters.get("scope"))
        case GrantType.CLIENT_CREDENTIALS:
            return ClientCredentialsGrant(_require(parameters, "scope"))
    assert_never(grant_type)


def _require(parameters: Parameters, name: str) -> str:
    value = parameters.get(name)
    if value is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"The parameter {name} is missing.")
    return value
