"""The types of single values of a client, each with the sentence that is reported when a value is not valid."""

import re
from typing import Annotated

from pydantic import AfterValidator

from gateway.oauth.client.redirect_uri import uri_problem
from gateway.scopes.model import Scope
from gateway.scopes.parse_scopes import ScopeError, parse_scopes
from gateway.settings.setting_types import Url

_THUMBPRINT = re.compile(r"[A-Za-z0-9_\-]{43}")


def _check_redirect_uri(value: str) -> str:
    flaw = uri_problem(value)
    if flaw is not None:
        raise ValueError(f"holds {value!r}, which {flaw}")
    return value


def read_scopes(text: str) -> tuple[Scope, ...]:
    """The scopes of a configured text. Raises `ValueError` if one of them cannot be read."""
    try:
        parsed = parse_scopes(text)
    except ScopeError as error:
        raise ValueError(f"holds scopes that cannot be read: {error}") from None
    if parsed.refused:
        raise ValueError(f"holds a scope that cannot be read: {parsed.refused[0]}")
    return parsed.scopes


def _check_scopes(text: str) -> str:
    read_scopes(text)
    return text


def _check_distinguished_name(text: str) -> str:
    # Of all settings, this one alone needs certificates.
    from cryptography.x509 import Name  # noqa: PLC0415

    try:
        Name.from_rfc4514_string(text)
    except ValueError as error:
        raise ValueError("must be a distinguished name as in RFC 4514, such as CN=app,O=Example") from error
    return text


def _check_thumbprint(text: str) -> str:
    if _THUMBPRINT.fullmatch(text) is None:
        raise ValueError("holds no SHA-256 in base64url without =, which has 43 characters")
    return text


DistinguishedName = Annotated[str, AfterValidator(_check_distinguished_name)]
Thumbprint = Annotated[str, AfterValidator(_check_thumbprint)]
RedirectUri = Annotated[str, AfterValidator(_check_redirect_uri)]
# A launch URI is checked like a redirect URI: pages name both in their Content-Security-Policy.
LaunchUri = Annotated[Url, AfterValidator(_check_redirect_uri)]
Scopes = Annotated[str, AfterValidator(_check_scopes)]
