"""Reads the client credentials of a request: exactly one method (checklist 1.10, edge cases 63-66)."""

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import unquote

from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.oauth.parameters import Parameters
from gateway.oauth.token_request import JWT_BEARER


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    """Possible pairs of id and secret in a Basic header: form-decoded (RFC 6749 2.3.1), then raw (CS-3)."""

    candidates: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ClientAssertion:
    """A signed client assertion, which contains the client_id."""

    text: str


@dataclass(frozen=True, slots=True)
class ClientIdOnly:
    """A client_id without credentials, as public clients send it."""

    client_id: str


@dataclass(frozen=True, slots=True)
class NoCredentials:
    """No credentials and no client_id. Allowed only with a refresh token of a public client (fixed choice 14)."""


Credentials = BasicCredentials | ClientAssertion | ClientIdOnly | NoCredentials


def read_credentials(authorization: str | None, parameters: Parameters) -> Credentials:
    """The credentials of the request. Raises `OAuthError` for several methods, or one that is not supported."""
    assertion, assertion_type = parameters.get("client_assertion"), parameters.get("client_assertion_type")
    client_secret = parameters.get("client_secret")
    methods = (authorization, assertion or assertion_type, client_secret)
    if sum(value is not None for value in methods) > 1:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The request authenticates its client in more than one way.")
    if client_secret is not None:
        description = "A client_secret in the body is not accepted here: send it by HTTP Basic."
        raise OAuthError(ErrorCode.INVALID_CLIENT, description)
    if authorization is not None:
        return _read_basic(authorization)
    if assertion is not None or assertion_type is not None:
        if assertion_type != JWT_BEARER:
            raise OAuthError(ErrorCode.INVALID_CLIENT, f"The client_assertion_type must be {JWT_BEARER}.")
        if assertion is None:
            raise OAuthError(ErrorCode.INVALID_REQUEST, "The parameter client_assertion is missing.")
        return ClientAssertion(assertion)
    client_id = parameters.get("client_id")
    return NoCredentials() if client_id is None else ClientIdOnly(client_id)


def check_client_id(client_id: str, parameters: Parameters) -> None:
    """A `client_id` in the body must be that of the authenticated client (T-3, CA-8). Raises `OAuthError`."""
    body_client_id = parameters.get("client_id")
    if body_client_id is not None and body_client_id != client_id:
        raise OAuthError(ErrorCode.INVALID_CLIENT, "The client_id is not that of the authenticated client.")


def _read_basic(authorization: str) -> BasicCredentials:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise _invalid_basic("The Authorization header is not of the Basic scheme.")
    try:
        credentials = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise _invalid_basic("The Basic credentials are not base64 of UTF-8.") from None
    client_id, colon, secret = credentials.partition(":")
    if not colon:
        raise _invalid_basic("The Basic credentials have no colon.")
    candidates = [(_form_decode(client_id), _form_decode(secret)), (client_id, secret)]
    # A client_id that is a URL has a colon, which some clients do not encode (edge case 65).
    last, _, end = credentials.rpartition(":")
    candidates.append((last, end))
    return BasicCredentials(tuple(dict.fromkeys(candidates)))


def _form_decode(text: str) -> str:
    return unquote(text.replace("+", " "), errors="replace")


def _invalid_basic(description: str) -> OAuthError:
    return OAuthError(ErrorCode.INVALID_CLIENT, description, basic=True)
