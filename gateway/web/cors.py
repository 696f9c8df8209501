"""Cross-origin rules in two tiers: discovery for anyone, the rest for registered origins (checklist CO-1..CO-5)."""

from collections.abc import Callable, Container

from gateway.web.answer import Header

_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_REQUEST_HEADERS = (
    b"Authorization, Content-Type, Accept, If-Match, If-None-Match, If-None-Exist, If-Modified-Since, "
    b"Prefer, X-Request-ID"
)
_EXPOSED = (
    b"ETag, Location, Content-Location, Last-Modified, WWW-Authenticate, Retry-After, X-Progress, Link, "
    b"X-Request-ID, X-Decision-ID"
)

ANY_ORIGIN: tuple[Header, ...] = ((b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED))
# The answer to OPTIONS for what everybody may read: a page that sends a header of its own asks first (CO-1, CO-4).
PUBLIC_PREFLIGHT: tuple[Header, ...] = (
    *ANY_ORIGIN,
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    (b"access-control-allow-headers", _REQUEST_HEADERS),
    (b"access-control-max-age", b"600"),
)


def registered_headers(origin: str | None, origins: Container[str]) -> tuple[tuple[str, str], ...]:
    """The headers for an answer of the token endpoint to a page from `origin` (CO-2)."""
    if origin is None or origin not in origins:
        return (("vary", "Origin"),)
    return (("access-control-allow-origin", origin), ("vary", "Origin"))


def preflight_headers(origin: str | None, origins: Container[str]) -> tuple[tuple[str, str], ...]:
    """The headers of its answer to OPTIONS."""
    allowed = registered_headers(origin, origins)
    if len(allowed) == 1:
        return allowed
    return (
        *allowed,
        ("access-control-allow-methods", "POST, OPTIONS"),
        ("access-control-allow-headers", "Authorization, Content-Type, Accept"),
        ("access-control-max-age", "600"),
    )


class Cors:
    """The origins that may use the FHIR endpoints from a browser."""

    def __init__(self, allowed_origins: tuple[str, ...], registered: Callable[[str | None], Container[str]]) -> None:
        """Exact origins, or `*` for every one. `registered` gives those of a client, or of all where it is None."""
        self._any = "*" in allowed_origins
        self._origins = frozenset(origin.encode() for origin in allowed_origins)
        self._registered = registered

    def headers(self, origin: bytes | None, client_id: str | None = None) -> tuple[Header, ...]:
        """The headers for an answer to a page from `origin`; they go on errors too (edge case 151).

        `client_id` is whose token came: then the page must be one of that client's (edge case 153).
        """
        if origin is None:
            return ()
        configured = self._any or origin in self._origins
        if not configured and origin.decode("latin-1") not in self._registered(client_id):
            return ((b"vary", b"Origin"),)
        return (
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"Origin"),
        )

    def preflight(self, origin: bytes | None, *, public: bool) -> tuple[Header, ...]:
        """The headers of an answer to OPTIONS; no token is needed for it (edge case 149)."""
        allowed = ANY_ORIGIN if public else self.headers(origin)
        if not any(name == b"access-control-allow-origin" for name, _ in allowed):
            return allowed
        return (
            *allowed,
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _REQUEST_HEADERS),
            (b"access-control-max-age", b"600"),
        )
