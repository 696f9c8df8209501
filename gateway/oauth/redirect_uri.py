"""Redirect URIs: what may be registered, and how an answer is put on one (checklist R-2, A-4, A-19)."""

import re
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

_VISIBLE = re.compile(r"[!-~]+")
# A scheme of an app on a device, named like a domain in reverse (RFC 8252 7.1): none of a browser's own can have a dot.
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+\-]*(\.[a-z0-9+\-]+)+")
_FORBIDDEN = frozenset('"<>\\^`{|}*')
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def flaw_of(uri: str) -> str | None:
    """Why a URI cannot be registered for answers, in a clause; None where it can.

    Allowed are https; http to this device (RFC 8252 7.3); and private-use schemes with a dot (RFC 8252 7.1).
    """
    if _VISIBLE.fullmatch(uri) is None or not _FORBIDDEN.isdisjoint(uri):
        return "holds a space, a wildcard or another character that no URI has"
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no URI"
    if "#" in uri:
        return "has a fragment"
    if parts.scheme in {"https", "http"}:
        if not host or not uri.startswith(f"{parts.scheme}://"):
            return "names no host"
        if "@" in parts.netloc:
            return "holds a user name"
        if parts.scheme == "http" and host not in _LOOPBACK:
            return "must start with https:// (http:// is for loopback addresses only)"
        return None
    if _PRIVATE_SCHEME.fullmatch(parts.scheme) is None:
        return "has a scheme that is neither https nor named like a domain in reverse (com.example.app:/callback)"
    return None


def with_parameters(uri: str, pairs: Iterable[tuple[str, str]]) -> str:
    """The URI with parameters added; those that it has by registration stay as they are (A-19, edge case 21)."""
    added = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    if "?" not in uri:
        return f"{uri}?{added}"
    return f"{uri}{'' if uri.endswith(('?', '&')) else '&'}{added}"
