"""The FHIR server's paging links: which request to the FHIR server a link leads to, in whatever form it is written."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, unquote, urlsplit

from gateway.fhir.query_limits import MAX_SEALED_QUERY
from gateway.scopes.resource_types import RESOURCE_TYPES

# The paging relations of a searchset or history (R4 Bundle.link, RFC 5005). Other links are not sent on.
PAGING_RELATIONS = frozenset({"first", "previous", "prev", "next", "last"})

# A link repeats the criteria of the search, to which the gateway and the server have added some.
_MAX_LINK = 2 * MAX_SEALED_QUERY
_SEGMENT = r"[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]+)*"
_PLAIN_SEGMENT = re.compile(_SEGMENT)
# Path parameters (RFC 3986 3.3), such as the session id that a Java server appends.
_PARAMETERS = re.compile(r"(?:;[A-Za-z0-9_.\-]+(?:=[A-Za-z0-9_.~!\-]*)?)*")
# What follows the base in nearly every link: a plain path, and a query of RFC 3986 3.4.
_COMMON_REST = re.compile(rf"((?:/{_SEGMENT})*)/?(?:\?([A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*))?")
_SAFE_IN_QUERY = "%!$&'()*+,;=:@/?"
_SAFE_BEFORE_QUERY = "%!$&'()*+,;=:@/[]"


class LinkProblem(StrEnum):
    """Why a link cannot be followed."""

    NOT_A_URL = "not_a_url"
    OTHER_HOST = "other_host"
    OUTSIDE_BASE = "outside_base"
    NOT_A_PLAIN_PATH = "not_a_plain_path"


class UnusableLinkError(Exception):
    """The link cannot be followed. `host` is where it leads to; empty if it names none."""

    def __init__(self, problem: LinkProblem, host: str = "") -> None:
        super().__init__(problem.value)
        self.problem = problem
        self.host = host


@dataclass(frozen=True, slots=True)
class _Base:
    """A base URL: its host, written in one way, and the segments of its path."""

    host: str
    segments: tuple[str, ...]


class ServerAddresses:
    """The base URLs by which the FHIR server names itself.

    A link never says where the request is sent: it always goes to the configured server. A link only says which path
    below the base, and which query.
    """

    def __init__(self, base_url: str, others: Iterable[str] = ()) -> None:
        """`base_url` is the configured one, and `others` are further ones; what is no base URL there is ignored."""
        own = _parse_base(base_url)
        if own is None:
            raise ValueError(f"{base_url!r} is not a base URL")
        self._own = own
        known = {own, *(base for base in map(_parse_base, others) if base is not None)}
        self._bases = sorted(known, key=lambda base: len(base.segments), reverse=True)
        self._common_start = base_url if own.segments else None

    def resolve(self, url: str, page_path: str) -> str:
        """The path and query, below the base, of the page that `url` leads to.

        `page_path` is the path, below the base, of the page that holds the link. A relative reference is resolved
        against it (RFC 3986 5.2), or against the base where only that leads below the base. Fragments are dropped, and
        characters that no URL has are percent-encoded. Other operations than the one that is paged, and anything but a
        plain path below the base, are refused: raises `UnusableLinkError`.
        """
        if self._common_start is not None and url.startswith(self._common_start):
            rest = _COMMON_REST.fullmatch(url, len(self._common_start))
            if rest is not None and len(url) <= _MAX_LINK:
                return f"{rest[1]}?{rest[2]}" if rest[2] else rest[1]
        head, query = _encode_link(url)
        try:
            parts = urlsplit(head)
            host = parts.hostname
        except ValueError:
            raise UnusableLinkError(LinkProblem.NOT_A_URL) from None
        if host is None:
            if parts.scheme or parts.netloc or not (parts.path or query):
                raise UnusableLinkError(LinkProblem.NOT_A_URL)
            path = self._resolve_relative(parts.path, page_path)
        elif parts.scheme in {"http", "https", ""}:
            path = self._strip_base(normalize_host(host), parts.path, page_path)
        else:
            raise UnusableLinkError(LinkProblem.NOT_A_URL)
        return f"{path}?{query}" if query else path

    def _resolve_relative(self, path: str, page_path: str) -> str:
        if path.startswith("/"):
            return self._strip_base(self._own.host, path, page_path)
        base = "".join(f"/{segment}" for segment in self._own.segments)
        if not path:
            return self._strip_base(self._own.host, base + page_path, page_path)
        try:
            return self._strip_base(self._own.host, f"{base}{page_path.rpartition('/')[0]}/{path}", page_path)
        except UnusableLinkError:
            return self._strip_base(self._own.host, f"{base}/{path}", page_path)

    def _strip_base(self, host: str, path: str, page_path: str) -> str:
        """The path below the longest base that it lies under. Raises `UnusableLinkError`.

        The only operation that it may be is that of `page_path` itself.
        """
        segments, parameters = _split_path(path)
        is_known = False
        for base in self._bases:
            if base.host != host:
                continue
            is_known = True
            if tuple(segments[: len(base.segments)]) == base.segments:
                below = segments[len(base.segments) :]
                path_below = "".join(f"/{segment}" for segment in below)
                is_same_page = path_below == page_path and _PARAMETERS.fullmatch(parameters) is not None
                if not is_same_page and not _is_plain(below, parameters, has_base=bool(base.segments)):
                    raise UnusableLinkError(LinkProblem.NOT_A_PLAIN_PATH, host)
                return path_below + parameters
        raise UnusableLinkError(LinkProblem.OUTSIDE_BASE if is_known else LinkProblem.OTHER_HOST, host)


def _encode_link(url: str) -> tuple[str, str]:
    """What stands before the query, and the query. Raises `UnusableLinkError`.

    Encoding comes first, because `urlsplit` drops line ends and tabs, and with them what a server would read.
    """
    if len(url) > _MAX_LINK:
        raise UnusableLinkError(LinkProblem.NOT_A_URL)
    head, _, query = url.strip().partition("#")[0].partition("?")
    try:
        return quote(head, safe=_SAFE_BEFORE_QUERY), quote(query, safe=_SAFE_IN_QUERY)
    except UnicodeEncodeError:
        raise UnusableLinkError(LinkProblem.NOT_A_URL) from None


def _split_path(path: str) -> tuple[list[str], str]:
    """The segments without `.` and `..` (RFC 3986 5.2.4), decoded, and the parameters of the last one.

    A decoded slash stays within its segment, which is then not a plain one.
    """
    path, separator, parameters = path.partition(";")
    segments: list[str] = []
    for encoded in path.split("/"):
        segment = unquote(encoded)
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment)
    return segments, separator + parameters


def _is_plain(below: list[str], parameters: str, *, has_base: bool) -> bool:
    """Whether a path holds nothing but names. Below a base that is the whole host, it must be one of FHIR.

    The parameters come last: some servers take `..;` for `..`.
    """
    if not all(map(_PLAIN_SEGMENT.fullmatch, below)) or not _PARAMETERS.fullmatch(parameters):
        return False
    return has_base or not below or below[0] in RESOURCE_TYPES or below[0].startswith("_")


def _parse_base(url: str) -> _Base | None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or host is None:
        return None
    return _Base(normalize_host(host), tuple(_split_path(parts.path)[0]))


def normalize_host(host: str) -> str:
    """A host in one spelling. All names of this machine are the same one."""
    host = unquote(host).rstrip(".").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return "localhost" if address.is_loopback else address.compressed
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host
