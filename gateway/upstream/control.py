"""The door for documents beside the data path: key sets, introspection, token endpoints, probes at start-up."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import httpx2

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
class _Destination:
    """Where a request goes when the name in its URL has been resolved and looked at."""

    url: httpx2.URL
    headers: dict[str, str]
    extensions: dict[str, str]


class _Bearer(httpx2.Auth):
    """RFC 6750 2.1."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.headers["authorization"] = f"Bearer {self._token}"
        yield request


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
        self._guarded = guarded and not development
        self._allowed = tuple(allowed)
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._ssl_context = ssl_context
        self._made: httpx2.AsyncClient | None = None

    @property
    def _client(self) -> httpx2.AsyncClient:
        """Made with the first request: the system's authorities alone take some megabytes, and files need none."""
        if self._made is None:
            # A kept connection is found by address, not by the name its certificate was checked for, so none is kept.
            limits = httpx2.Limits(max_connections=32, max_keepalive_connections=0 if self._guarded else 8)
            self._made = httpx2.AsyncClient(
                verify=self._ssl_context or ssl.create_default_context(),
                timeout=self._timeout,
                limits=limits,
                follow_redirects=False,
                trust_env=False,
                headers={
                    "accept": "application/json",
                    "accept-encoding": "identity",
                    "user-agent": "smart-fhir-gateway",
                },
            )
        return self._made

    async def get_document(self, url: str, token: str | None = None) -> Document:
        """GET, with a bearer token where there is one.

        Raises `ControlError`; a status other than 2xx, redirects included, is an answer and not an error.
        """
        return await self._fetch("GET", url, None, None if token is None else _Bearer(token))

    async def post_form(self, url: str, form: Mapping[str, str], auth: tuple[str, str] | None = None) -> Document:
        """POST a form; `auth` is a user name and password for Basic authentication. Raises `ControlError`."""
        return await self._fetch("POST", url, form, None if auth is None else httpx2.BasicAuth(*auth))

    async def aclose(self) -> None:
        """Close every connection."""
        if self._made is not None:
            await self._made.aclose()

    async def _fetch(self, method: str, url: str, form: Mapping[str, str] | None, auth: httpx2.Auth | None) -> Document:
        try:
            parsed = httpx2.URL(url)
        except (httpx2.InvalidURL, UnicodeError):
            raise ControlError("The address is no URL.") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ControlError("The address is no http or https URL.")
        try:
            # httpx2's own timeout is for each read; a server that drips must not hold us longer than one deadline.
            async with asyncio.timeout(self._timeout):
                destination = await self._destination(parsed)
                async with self._client.stream(
                    method,
                    destination.url,
                    data=dict(form) if form is not None else None,
                    auth=auth,
                    headers=destination.headers,
                    extensions=destination.extensions,
                ) as response:
                    body = await self._bounded(response, parsed.host)
                    headers = {name.lower(): value for name, value in response.headers.items()}
                    return Document(response.status_code, headers, body)
        except (TimeoutError, httpx2.TimeoutException):
            raise ControlError(f"{parsed.host} did not answer within {self._timeout:g} seconds.") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
            raise ControlError(f"{parsed.host} could not be asked: {str(error) or type(error).__name__}.") from error
        finally:
            # The client would send a cookie back to the same host; no document of ours depends on one.
            self._client.cookies.clear()

    async def _bounded(self, response: httpx2.Response, host: str) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ControlError(f"{host} sent an encoded document, which it was asked not to.")
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > self._max_bytes:
                raise ControlError(f"The document of {host} is larger than {self._max_bytes} bytes.")
        return bytes(body)

    async def _destination(self, url: httpx2.URL) -> _Destination:
        if not self._guarded:
            return _Destination(url, {}, {})
        if url.scheme != "https" or url.userinfo:
            raise ControlError(f"The address at {url.host} must be https, without user information.")
        address = await self._resolve(url.host, url.port or 443)
        return _Destination(
            url.copy_with(host=str(address)),
            {"host": url.netloc.decode("ascii")},
            {"sni_hostname": url.raw_host.decode()},
        )

    async def _resolve(self, host: str, port: int) -> IPAddress:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
        if not addresses or not all(self._may_ask(address) for address in addresses):
            raise ControlError(f"{host} leads to an address that is not public.")
        return addresses[0]

    def _may_ask(self, address: IPAddress) -> bool:
        return is_public(address) or any(address in network for network in self._allowed)


def is_public(address: IPAddress) -> bool:
    """Whether an address belongs to the public Internet, so that nothing inside our own network answers there."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
