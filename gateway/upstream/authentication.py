"""Authentication of the gateway at the FHIR server. The access token of a client is never sent there."""

import base64
import re
from dataclasses import dataclass
from typing import Protocol

from gateway.upstream.exchange_types import Headers

# RFC 6750 section 2.1 (b64token).
BEARER_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


class UpstreamAuthentication(Protocol):
    """Provides the header fields that authenticate the gateway."""

    @property
    def static_headers(self) -> Headers | None:
        """The fields if they never change, to be passed to the pool as `constant_headers`; else None."""

    async def headers(self) -> Headers:
        """The fields for the next request. Raises `Unreachable` if there are none."""

    def handle_rejection(self, headers: Headers) -> bool:
        """The FHIR server responded with 401 to these fields. Return whether to retry with new ones."""


@dataclass(frozen=True, slots=True)
class StaticAuthentication:
    """Fields that never change: none, Basic or a bearer token. Mutual TLS needs none (`tls_context`)."""

    static_headers: Headers

    async def headers(self) -> Headers:
        """The same fields each time."""
        return self.static_headers

    def handle_rejection(self, headers: Headers) -> bool:
        """False: there are no other fields."""
        return False


def no_authentication() -> StaticAuthentication:
    """No fields: the FHIR server trusts every client, or the client certificate of the gateway."""
    return StaticAuthentication(())


def basic_authentication(username: str, password: str) -> StaticAuthentication:
    """Basic authentication in UTF-8 (RFC 7617).

    Raises `ValueError` for a colon in the user name or a control character in either.
    """
    if ":" in username or any(ord(character) < 32 or ord(character) == 127 for character in username + password):
        raise ValueError(
            "The user name for Basic authentication must have no colon, "
            "and neither it nor the password may have control characters."
        )
    credentials = base64.b64encode(f"{username}:{password}".encode())
    return StaticAuthentication(((b"authorization", b"Basic " + credentials),))


def bearer_authentication(token: str) -> StaticAuthentication:
    """A bearer token that does not change (RFC 6750). Raises `ValueError` if it has invalid characters."""
    if BEARER_TOKEN.fullmatch(token) is None:
        raise ValueError("The bearer token for the FHIR server has characters that no such token has.")
    return StaticAuthentication(((b"authorization", b"Bearer " + token.encode()),))
