"""The door for documents beside the data path: key sets, introspection, token endpoints, probes at start-up."""

import ipaddress
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.upstream.fetcher import Fetcher

MAX_DOCUMENT = 1024 * 1024
# Beyond what `is_global` already refuses: IPv6 addresses that stand for IPv4 ones reach whatever those reach.
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class ControlError(Exception):
    """No usable answer; the message says why in plain words and names the host, never a secret."""


@dataclass(frozen=True, slots=True)
class Document:
    """An answer: status, header fields by lower-case name (repeated ones joined by commas), the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a fetch may go: to which addresses, for how many seconds, for how many bytes; whom it trusts."""

    guarded: bool
    allowed: tuple[IPNetwork, ...]
    timeout: float
    max_bytes: int
    ssl_context: ssl.SSLContext | None


class ControlClient:
    """Fetches small documents: bounded in size and time, without redirects, cookies or proxies from the environment.

    `guarded=True` is for URLs that somebody other than the operator chose, such as a registered client's `jwks_uri`:
    https only, and no address that is not public (authorization.md choice 12). The name is resolved once, every
    address looked at, and the connection made to the very address that was looked at, so that a second look-up
    cannot lead elsewhere. `development=True` also lets http and private or loopback addresses through;
    `allowed` names networks inside which addresses may be asked although they are not public.
    """

    def __init__(
        self,
        *,
        guarded: bool = False,
        development: bool = False,
        allowed: Sequence[IPNetwork] = (),
        timeout: float = 5.0,
        max_bytes: int = MAX_DOCUMENT,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._bounds = Bounds(guarded and not development, tuple(allowed), timeout, max_bytes, ssl_context)
        self._made: Fetcher | None = None

    @property
    def _fetcher(self) -> "Fetcher":
        if self._made is None:
            from gateway.upstream.fetcher import Fetcher  # noqa: PLC0415 - files need no HTTP client and its megabytes

            self._made = Fetcher(self._bounds)
        return self._made

    async def get_document(self, url: str, token: str | None = None) -> Document:
        """GET, with a bearer token where there is one.

        Raises `ControlError`; a status other than 2xx, redirects included, is an answer and not an error.
        """
        return await self._fetcher.get(url, token)

    async def post_form(self, url: str, form: Mapping[str, str], auth: tuple[str, str] | None = None) -> Document:
        """POST a form; `auth` is a user name and password for Basic authentication. Raises `ControlError`."""
        return await self._fetcher.post(url, form, auth)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._made is not None:
            await self._made.aclose()


def is_public(address: IPAddress) -> bool:
    """Whether an address belongs to the public Internet, so that nothing inside our own network answers there."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
