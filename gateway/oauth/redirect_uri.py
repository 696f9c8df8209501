"""Redirect URIs: what may be registered, and how an answer is put on one (checklist R-2, A-4, A-19)."""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

_VISIBLE = re.compile(r"[!-~]+")
# A scheme of an app on a device, named like a domain in reverse (RFC 8252 7.1): none of a browser's own can have a dot.
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+\-]*(\.[a-z0-9+\-]+)+")
_FORBIDDEN = frozenset('"<>\\^`{|}*')
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# What every browser reads alike: letters, digits and hyphens, or an IPv6 address. No percent sign, comma or end dot.
_AUTHORITY = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?",
    re.IGNORECASE,
)
# A browser takes such a host for an IPv4 address in one of its old spellings, and rewrites it (WHATWG URL 3.5).
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DOTS = frozenset({".", ".."})
# An app could not tell its own parameter from the one of the answer (RFC 6749 4.1.2, RFC 9207).
_OF_THE_ANSWER = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})


def flaw_of(uri: str) -> str | None:
    """Why a URI cannot be registered for answers, in a clause; None where it can.

    Allowed are https; http to this device (RFC 8252 7.3); and private-use schemes with a dot (RFC 8252 7.1).
    """
    if _VISIBLE.fullmatch(uri) is None or not _FORBIDDEN.isdisjoint(uri) or not _is_text(uri):
        return "holds a space, a wildcard or another character that no URI has"
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return "is no URI"
    if "#" in uri:
        return "has a fragment"
    return _flaw_of_place(uri, parts) or _flaw_of_path(parts)


def _is_text(uri: str) -> bool:
    """Whether its escapes are whole, and stand for printable text in UTF-8."""
    if _BROKEN_ESCAPE.search(uri):
        return False
    try:
        return not any(one < " " or "\x7f" <= one < "\xa0" for one in unquote(uri, errors="strict"))
    except UnicodeDecodeError:
        return False


def _flaw_of_place(uri: str, parts: SplitResult) -> str | None:
    if not uri.startswith(f"{parts.scheme}:"):
        return "has a scheme that is not in lower case"
    if parts.scheme not in {"https", "http"}:
        if _PRIVATE_SCHEME.fullmatch(parts.scheme) is None:
            return "has a scheme that is neither https nor named like a domain in reverse (com.example.app:/callback)"
        return None
    if not parts.netloc:
        return "names no host"
    if "@" in parts.netloc:
        return "holds a user name"
    if _AUTHORITY.fullmatch(parts.netloc) is None or not _is_host(parts.hostname or ""):
        return "has a host that is no plain name or address"
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        return "must start with https:// (http:// is for loopback addresses only)"
    return None


def _is_host(host: str) -> bool:
    """Whether what looks like an address is one, in its usual spelling."""
    if ":" not in host and _NUMBER.fullmatch(host) is None:
        return True
    try:
        return str(ip_address(host)) == host
    except ValueError:
        return False


def _flaw_of_path(parts: SplitResult) -> str | None:
    if not _DOTS.isdisjoint(re.split(r"[/\\]", unquote(parts.path))):
        return "has a path with dots, which a browser would change"
    if not _OF_THE_ANSWER.isdisjoint(name for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        return "has a parameter that the answer has too, such as code or state"
    return None


def with_parameters(uri: str, pairs: Iterable[tuple[str, str]]) -> str:
    """The URI with parameters added; those that it has by registration stay as they are (A-19, edge case 21)."""
    added = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    if "?" not in uri:
        return f"{uri}?{added}"
    return f"{uri}{'' if uri.endswith(('?', '&')) else '&'}{added}"
