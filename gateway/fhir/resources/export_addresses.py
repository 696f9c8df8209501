"""Where the FHIR server's URLs of an export lead to: its job and its files, on the server itself or in a storage."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from gateway.fhir.resources.page_target import LinkProblem, UnusableLinkError, normalize_host

# A signed URL of an object storage has up to some 2000 characters.
MAX_URL = 8192
_REFUSED_CHARACTERS = frozenset(" \\#")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ExportTarget:
    """Where a request is sent. `target` is a path with a query from the root of its server, percent-encoded.

    `base` is the configured base of the storage; empty for the FHIR server itself.
    """

    base: str
    target: str


@dataclass(frozen=True, slots=True)
class _Base:
    """A base URL. `path` is without a trailing slash."""

    url: str
    scheme: str
    host: str
    port: int | None
    path: str

    def holds(self, path: str) -> bool:
        """Whether the path is that of the base, or lies below it."""
        return path == self.path or path.startswith(f"{self.path}/")


class ExportAddresses:
    """The bases under which the gateway may fetch what the FHIR server names in an export.

    A URL never says to which machine a request with the gateway's credentials goes: that is always the configured FHIR
    server. Only the storages are reached under their own names, and without credentials.
    """

    def __init__(self, base_url: str, aliases: Iterable[str] = (), file_bases: Iterable[str] = ()) -> None:
        """`base_url` is where the FHIR server is reached, and `aliases` are base URLs that it also goes by."""
        self._base_url = base_url
        self._own = _parse_base(base_url)
        known = {self._own, *map(_parse_base, aliases)}
        self._known = sorted(known, key=lambda base: len(base.path), reverse=True)
        self._storages = tuple(map(_parse_base, file_bases))

    def resolve(self, url: str) -> ExportTarget:
        """Where the URL leads to. Raises `UnusableLinkError` if the gateway may not go there.

        A relative URL is resolved against the base of the FHIR server.
        """
        parts = _split(self._base_url, url)
        host, port = normalize_host(parts.hostname or ""), _port(parts)
        query = f"?{parts.query}" if parts.query else ""
        for storage in self._storages:
            if (storage.scheme, storage.host, storage.port) == (parts.scheme, host, port) and storage.holds(parts.path):
                return ExportTarget(storage.url, parts.path + query)
        for base in self._known:
            # As with paging links the port does not count: servers behind a proxy often do not know theirs.
            if base.host == host and base.holds(parts.path):
                return ExportTarget("", (self._own.path + parts.path[len(base.path) :] or "/") + query)
        if (self._own.scheme, self._own.host, self._own.port) == (parts.scheme, host, port):
            return ExportTarget("", (parts.path or "/") + query)
        is_known = any(base.host == host for base in self._known)
        raise UnusableLinkError(LinkProblem.OUTSIDE_BASE if is_known else LinkProblem.OTHER_HOST, host)


def _check_characters(url: str) -> None:
    """Refuse what no URL has. This comes first, because `urljoin` and `urlsplit` drop line ends and tabs."""
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or not _REFUSED_CHARACTERS.isdisjoint(url):
        raise UnusableLinkError(LinkProblem.NOT_A_URL)


def _split(base_url: str, url: str) -> SplitResult:
    """The parts of a URL, made absolute, that means the same to everybody. Raises `UnusableLinkError`."""
    _check_characters(url)
    try:
        parts = urlsplit(urljoin(f"{base_url}/", url))
        _port(parts)
    except ValueError:
        raise UnusableLinkError(LinkProblem.NOT_A_URL) from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        raise UnusableLinkError(LinkProblem.NOT_A_URL)
    # Some servers take `..;x` for `..`.
    segments = [unquote(segment.partition(";")[0]) for segment in parts.path.split("/")]
    if any(segment in {".", ".."} or "/" in segment or "\\" in segment for segment in segments):
        # A server could leave the base by it.
        raise UnusableLinkError(LinkProblem.NOT_A_PLAIN_PATH, parts.hostname)
    return parts


def _port(parts: SplitResult) -> int | None:
    return parts.port or _DEFAULT_PORTS.get(parts.scheme)


def _parse_base(url: str) -> _Base:
    parts = urlsplit(url)
    return _Base(url, parts.scheme, normalize_host(parts.hostname or ""), _port(parts), parts.path.rstrip("/"))
