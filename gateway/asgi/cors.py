"""CORS headers: discovery documents are open to any origin, all else to allowed ones (checklist CO-1..CO-5)."""

from collections.abc import Callable, Container

from gateway.asgi.types import Header

_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_REQUEST_HEADERS = (
    b"Authorization, Content-Type, Accept, If-Match, If-None-Match, If-None-Exist, If-Modified-Since, "
    b"Prefer, X-Request-ID"
)
_EXPOSED_HEADERS = (
    b"ETag, Location, Content-Location, Last-Modified, WWW-Authenticate, Retry-After, X-Progress, Link, "
    b"X-Request-ID, X-Decision-ID"
)

ANY_ORIGIN: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", _EXPOSED_HEADERS),
)
# For OPTIONS requests to public documents: a page that adds its own headers sends a preflight first (CO-1, CO-4).
PUBLIC_PREFLIGHT: tuple[Header, ...] = (
    *ANY_ORIGIN,
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    (b"access-control-allow-headers", _REQUEST_HEADERS),
    (b"access-control-max-age", b"600"),
)


def token_endpoint_headers(origin: str | None, origins: Container[str]) -> tuple[tuple[str, str], ...]:
    """The headers of a response of the token endpoint to a page from `origin` (CO-2)."""
    if origin is None or origin not in origins:
        return (("vary", "Origin"),)
    return (
        ("access-control-allow-origin", origin),
        # An app that is refused with 429 or 503 must see how long to wait.
        ("access-control-expose-headers", "Retry-After"),
        ("vary", "Origin"),
    )


def token_endpoint_preflight_headers(origin: str | None, origins: Container[str]) -> tuple[tuple[str, str], ...]:
    """The headers of its response to OPTIONS."""
    headers = token_endpoint_headers(origin, origins)
    if len(headers) == 1:
        return headers
    return (
        *headers,
        ("access-control-allow-methods", "POST, OPTIONS"),
        ("access-control-allow-headers", "Authorization, Content-Type, Accept"),
        ("access-control-max-age", "600"),
    )


class CorsPolicy:
    """Which web origins may use the FHIR endpoints."""

    def __init__(self, allowed_origins: tuple[str, ...], registered: Callable[[str | None], Container[str]]) -> None:
        """`allowed_origins` are exact, or `*` for all. `registered` returns those of a client, or of all for None."""
        self._allows_any = "*" in allowed_origins
        self._origins = frozenset(origin.encode() for origin in allowed_origins)
        self._registered = registered

    def headers(self, origin: bytes | None, client_id: str | None = None) -> tuple[Header, ...]:
        """The headers of a response to a page from `origin`; errors have them as well (edge case 151).

        `client_id` is the client of the token, if there is one: the origin must belong to it (edge case 153).
        """
        if origin is None:
            return ()
        is_configured = self._allows_any or origin in self._origins
        if not is_configured and origin.decode("latin-1") not in self._registered(client_id):
            return ((b"vary", b"Origin"),)
        return (
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED_HEADERS),
            (b"vary", b"Origin"),
        )

    def preflight(self, origin: bytes | None, *, public: bool) -> tuple[Header, ...]:
        """The headers of a response to OPTIONS, which needs no token (edge case 149)."""
        headers = ANY_ORIGIN if public else self.headers(origin)
        if not any(name == b"access-control-allow-origin" for name, _ in headers):
            return headers
        return (
            *headers,
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _REQUEST_HEADERS),
            (b"access-control-max-age", b"600"),
        )
