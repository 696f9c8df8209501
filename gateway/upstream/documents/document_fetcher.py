"""Fetches small documents with httpx2, within the limits of the control client."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Generator, Mapping
from dataclasses import dataclass

import httpx2

from gateway.upstream.documents.document_types import ControlError, FetchedDocument, FetchLimits
from gateway.upstream.documents.public_addresses import IPAddress, is_public


@dataclass(frozen=True, slots=True)
class _Destination:
    """Where to send a request after the name in its URL was resolved and checked."""

    url: httpx2.URL
    headers: dict[str, str]
    extensions: dict[str, str]


class _Bearer(httpx2.Auth):
    """A bearer token in the header (RFC 6750 2.1)."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.headers["authorization"] = f"Bearer {self._token}"
        yield request


class DocumentFetcher:
    """One httpx2 client and its connections."""

    def __init__(self, limits: FetchLimits) -> None:
        self._limits = limits
        # httpx2 finds a kept connection by its address, not by the name that its certificate was checked for.
        kept_connections = 0 if limits.public_only else 8
        self._client = httpx2.AsyncClient(
            verify=limits.ssl_context or ssl.create_default_context(),
            timeout=limits.timeout,
            limits=httpx2.Limits(max_connections=32, max_keepalive_connections=kept_connections),
            follow_redirects=False,
            trust_env=False,
            headers={
                "accept": "application/json",
                "accept-encoding": "identity",
                "user-agent": "smart-fhir-gateway",
            },
        )

    async def get(self, url: str, token: str | None) -> FetchedDocument:
        """GET, with a bearer token if there is one. Raises `ControlError`."""
        return await self._fetch("GET", url, None, None if token is None else _Bearer(token))

    async def post(self, url: str, form: Mapping[str, str], auth: tuple[str, str] | None) -> FetchedDocument:
        """POST a form, with Basic authentication if given. Raises `ControlError`."""
        return await self._fetch("POST", url, form, None if auth is None else httpx2.BasicAuth(*auth))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def _fetch(
        self, method: str, url: str, form: Mapping[str, str] | None, auth: httpx2.Auth | None
    ) -> FetchedDocument:
        try:
            parsed = httpx2.URL(url)
        except (httpx2.InvalidURL, UnicodeError):
            raise ControlError("The address is no URL.") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ControlError("The address is no http or https URL.")
        try:
            # The timeout of httpx2 is for each read. This is the deadline for the whole response.
            async with asyncio.timeout(self._limits.timeout):
                destination = await self._choose_destination(parsed)
                async with self._client.stream(
                    method,
                    destination.url,
                    data=dict(form) if form is not None else None,
                    auth=auth,
                    headers=destination.headers,
                    extensions=destination.extensions,
                ) as response:
                    body = await self._read_body(response, parsed.host)
                    headers = {name.lower(): value for name, value in response.headers.items()}
                    return FetchedDocument(response.status_code, headers, body)
        except (TimeoutError, httpx2.TimeoutException):
            raise ControlError(f"{parsed.host} did not respond within {self._limits.timeout:g} seconds.") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
            raise ControlError(f"The request to {parsed.host} failed: {str(error) or type(error).__name__}.") from error
        finally:
            # The client would send cookies back to the same host, and nothing here depends on them.
            self._client.cookies.clear()

    async def _read_body(self, response: httpx2.Response, host: str) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ControlError(f"{host} sent an encoded document, although the request excluded that.")
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > self._limits.max_bytes:
                raise ControlError(f"The document of {host} is larger than {self._limits.max_bytes} bytes.")
        return bytes(body)

    async def _choose_destination(self, url: httpx2.URL) -> _Destination:
        if not self._limits.public_only:
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
        entries = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(entry[4][0]) for entry in entries]
        if not addresses or not all(self._is_permitted(address) for address in addresses):
            raise ControlError(f"{host} leads to an address that is not public.")
        return addresses[0]

    def _is_permitted(self, address: IPAddress) -> bool:
        return is_public(address) or any(address in network for network in self._limits.permitted_networks)
