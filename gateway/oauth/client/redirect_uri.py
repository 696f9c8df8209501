"""Redirect URIs: which may be registered, and how response parameters are added (checklist R-2, A-4, A-19)."""

import re
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

_VISIBLE_ASCII = re.compile(r"[!-~]+")
# A private-use scheme, a domain name in reverse (RFC 8252 7.1). The dot excludes the schemes of browsers.
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+\-]*(\.[a-z0-9+\-]+)+")
_FORBIDDEN = frozenset('"<>\\^`{|}*')
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# Only what all browsers parse alike: letters, digits and hyphens, or an IPv6 address.
_AUTHORITY = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?",
    re.IGNORECASE,
)
# Browsers parse such a host as an IPv4 address in an old notation, and rewrite it (WHATWG URL 3.5).
_IPV4_LIKE = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DOT_SEGMENTS = frozenset({".", ".."})
# An app could not distinguish these from the parameters of the response (RFC 6749 4.1.2, RFC 9207).
_RESPONSE_PARAMETERS = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})

# The redirect URI of a native app with the port that its system gave it.
_LOOPBACK_PORT = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\])):([1-9][0-9]{0,4})(?=[/?]|\Z)")
_MAX_PORT = 65535


def is_registered(uri: str, registered: Collection[str]) -> bool:
    """Whether responses may go to the URI: one of the registered URIs, character by character (A-4).

    A loopback address that was registered without a port holds for every port, because a native app is given another
    one each time it starts (RFC 8252 7.3). `localhost` does not: it is a name, which may lead elsewhere (RFC 8252 8.3).
    """
    if uri in registered:
        return True
    port = _LOOPBACK_PORT.match(uri)
    return port is not None and int(port[2]) <= _MAX_PORT and port[1] + uri[port.end() :] in registered


def uri_problem(uri: str) -> str | None:
    """Why the URI cannot be registered, as a clause; None if it can.

    Allowed are https, http to loopback addresses (RFC 8252 7.3), and private-use schemes with a dot (RFC 8252 7.1).
    """
    if _VISIBLE_ASCII.fullmatch(uri) is None or not _FORBIDDEN.isdisjoint(uri) or not _is_printable(uri):
        return "has a space, a wildcard or another character that is not allowed in a URI"
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return "is not a URI"
    if "#" in uri:
        return "has a fragment"
    return _authority_problem(uri, parts) or _path_problem(parts)


def _is_printable(uri: str) -> bool:
    """Whether its percent-encoding is valid and decodes to printable UTF-8 text."""
    if _BROKEN_ESCAPE.search(uri):
        return False
    try:
        return not any(character < " " or "\x7f" <= character < "\xa0" for character in unquote(uri, errors="strict"))
    except UnicodeDecodeError:
        return False


def _authority_problem(uri: str, parts: SplitResult) -> str | None:
    if not uri.startswith(f"{parts.scheme}:"):
        return "has a scheme that is not in lower case"
    if parts.scheme not in {"https", "http"}:
        if _PRIVATE_SCHEME.fullmatch(parts.scheme) is None:
            return "has a scheme that is neither https nor named like a domain in reverse (com.example.app:/callback)"
        return None
    if not parts.netloc:
        return "names no host"
    if "@" in parts.netloc:
        return "has a user name"
    if _AUTHORITY.fullmatch(parts.netloc) is None or not _is_canonical_host(parts.hostname or ""):
        return "has a host that is not a plain name or address"
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        return "must start with https:// (http:// is for loopback addresses only)"
    return None


def _is_canonical_host(host: str) -> bool:
    """Whether a host that looks like an IP address is one, in canonical form."""
    if ":" not in host and _IPV4_LIKE.fullmatch(host) is None:
        return True
    try:
        return _spelling(ip_address(host)) == host
    except ValueError:
        return False


def _spelling(address: IPv4Address | IPv6Address) -> str:
    """The spelling that browsers give an address: an IPv6 address has no dots in it (WHATWG URL 3.6).

    Python writes an IPv4-mapped address with dots since 3.13, and without them before.
    """
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if mapped is None:
        return str(address)
    number = int(mapped)
    return f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}"


def _path_problem(parts: SplitResult) -> str | None:
    if not _DOT_SEGMENTS.isdisjoint(re.split(r"[/\\]", unquote(parts.path))):
        return "has a path with dots, which a browser would change"
    if not _RESPONSE_PARAMETERS.isdisjoint(name for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        return "has a parameter that the response adds, such as code or state"
    return None


def add_parameters(uri: str, pairs: Iterable[tuple[str, str]]) -> str:
    """The URI with the parameters added. Its registered parameters are unchanged (A-19, edge case 21)."""
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    if "?" not in uri:
        return f"{uri}?{query}"
    return f"{uri}{'' if uri.endswith(('?', '&')) else '&'}{query}"
