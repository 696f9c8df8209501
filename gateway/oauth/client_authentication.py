"""Which client asks, and how it proves itself: exactly one way, the registered one (checklist 1.10, edge 63-66)."""

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import unquote

from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.oauth.parameters import Parameters
from gateway.oauth.token_request import JWT_BEARER


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    """Each reading of a Basic header as id and secret: form-decoded as RFC 6749 2.3.1 has it, then raw (CS-3)."""

    readings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Assertion:
    """A signed statement; its client is named inside."""

    text: str


@dataclass(frozen=True, slots=True)
class Named:
    """A client that only says its name, as public ones do."""

    client_id: str


@dataclass(frozen=True, slots=True)
class Anonymous:
    """No word about the client: only a refresh token of a public client may come so (fixed choice 14)."""


Credentials = BasicCredentials | Assertion | Named | Anonymous


def read_credentials(authorization: str | None, parameters: Parameters) -> Credentials:
    """What the request offers as proof. Raises `OAuthError` for two ways at once, or one that is not offered here."""
    assertion, kind = parameters.get("client_assertion"), parameters.get("client_assertion_type")
    ways = [one for one in (authorization, assertion or kind, parameters.get("client_secret")) if one is not None]
    if len(ways) > 1:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The request proves its client in more than one way.")
    if parameters.get("client_secret") is not None:
        description = "A client_secret in the body is not accepted here: send it by HTTP Basic."
        raise OAuthError(ErrorCode.INVALID_CLIENT, description)
    if authorization is not None:
        return _basic(authorization)
    if assertion is not None or kind is not None:
        if kind != JWT_BEARER:
            raise OAuthError(ErrorCode.INVALID_CLIENT, f"The client_assertion_type must be {JWT_BEARER}.")
        if assertion is None:
            raise OAuthError(ErrorCode.INVALID_REQUEST, "The parameter client_assertion is missing.")
        return Assertion(assertion)
    client_id = parameters.get("client_id")
    return Anonymous() if client_id is None else Named(client_id)


def check_named(client_id: str, parameters: Parameters) -> None:
    """A `client_id` in the body must be the client that proved itself (T-3, CA-8). Raises `OAuthError`."""
    named = parameters.get("client_id")
    if named is not None and named != client_id:
        raise OAuthError(ErrorCode.INVALID_CLIENT, "The client_id is not the client that proved itself.")


def _basic(authorization: str) -> BasicCredentials:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise _refused("The Authorization header is not of the Basic scheme.")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise _refused("The Basic credentials are not base64 of UTF-8.") from None
    first, colon, secret = text.partition(":")
    if not colon:
        raise _refused("The Basic credentials have no colon.")
    readings = [(_decoded(first), _decoded(secret)), (first, secret)]
    # An id that is a URL has a colon of its own, which careless clients leave as it is (edge case 65).
    last, _, end = text.rpartition(":")
    readings.append((last, end))
    return BasicCredentials(tuple(dict.fromkeys(readings)))


def _decoded(text: str) -> str:
    return unquote(text.replace("+", " "), errors="replace")


def _refused(description: str) -> OAuthError:
    return OAuthError(ErrorCode.INVALID_CLIENT, description, basic=True)
