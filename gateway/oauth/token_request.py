"""The token request: its parameters by grant, read before anybody is authenticated (checklist 1.8, 1.9, 1.11)."""

from dataclasses import dataclass
from typing import assert_never

from gateway.oauth.client import GrantType
from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.oauth.parameters import Parameters

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_OURS = ("grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret", "refresh_token", "scope",
         "client_assertion", "client_assertion_type")  # fmt: skip


@dataclass(frozen=True, slots=True)
class CodeExchange:
    """`grant_type=authorization_code`."""

    code: str
    redirect_uri: str
    code_verifier: str | None


@dataclass(frozen=True, slots=True)
class Refresh:
    """`grant_type=refresh_token`; `scope` is None where all that was granted is asked for (RF-6)."""

    refresh_token: str
    scope: str | None


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """`grant_type=client_credentials`; without a scope nothing is asked for (edge case 78)."""

    scope: str


TokenRequest = CodeExchange | Refresh | ClientCredentials


def read_token_request(parameters: Parameters) -> TokenRequest:
    """The request by its grant type. Raises `OAuthError`."""
    repeated = parameters.repeated_among(_OURS)
    if repeated is not None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"The parameter {repeated} came more than once.")
    named = _needed(parameters, "grant_type")
    try:
        grant_type = GrantType(named)
    except ValueError:
        raise OAuthError(ErrorCode.UNSUPPORTED_GRANT_TYPE, "This grant_type is not supported here.") from None
    match grant_type:
        case GrantType.AUTHORIZATION_CODE:
            code, redirect_uri = _needed(parameters, "code"), _needed(parameters, "redirect_uri")
            return CodeExchange(code, redirect_uri, parameters.get("code_verifier"))
        case GrantType.REFRESH_TOKEN:
            return Refresh(_needed(parameters, "refresh_token"), parameters.get("scope"))
        case GrantType.CLIENT_CREDENTIALS:
            return ClientCredentials(_needed(parameters, "scope"))
    assert_never(grant_type)


def _needed(parameters: Parameters, name: str) -> str:
    value = parameters.get(name)
    if value is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"The parameter {name} is missing.")
    return value
