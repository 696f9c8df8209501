"""Fetches of documents: limited, without redirects, and to public addresses only for URLs of outsiders."""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.upstream.documents.control_client import ControlClient
from gateway.upstream.documents.document_types import ControlError, FetchPurpose
from gateway.upstream.documents.public_addresses import is_public
from gateway.upstream.tls import tls_context
from tests.certificates.authority import Authority
from tests.upstream.raw_server import OK, Peer, RawServer, raw_server, respond_with

DOCUMENT = OK + b"Content-Type: application/json\r\nX-A: 1\r\nX-A: 2\r\ncontent-length: 2\r\n\r\n{}"
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


@contextlib.asynccontextmanager
async def open_client(**options: object) -> AsyncIterator[ControlClient]:
    control = ControlClient(**options)  # type: ignore[arg-type]
    try:
        yield control
    finally:
        await control.aclose()


async def test_a_document_comes_with_its_status_and_headers() -> None:
    async with raw_server(respond_with(DOCUMENT)) as server, open_client() as control:
        document = await control.get_document(server.base_url)
        assert (document.status, document.body) == (200, b"{}")
        assert (document.headers["content-type"], document.headers["x-a"]) == ("application/json", "1, 2")


async def test_requests_are_counted_by_purpose_and_outcome() -> None:
    refusal = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"
    async with (
        raw_server(respond_with(DOCUMENT)) as server,
        raw_server(respond_with(refusal)) as broken,
        open_client() as control,
    ):
        await control.get_document(server.base_url, purpose=FetchPurpose.ISSUER_KEYS)
        await control.post_form(broken.base_url, {}, purpose=FetchPurpose.INTROSPECTION)
        with pytest.raises(ControlError):
            await control.get_document("http://127.0.0.1:1/", purpose=FetchPurpose.CLIENT_KEYS)
        assert {key: count for key, count in control.fetches.items() if count} == {
            ("issuer_keys", "ok"): 1,
            ("introspection", "refused"): 1,
            ("client_keys", "unreachable"): 1,
        }


async def test_a_form_is_posted_with_basic_authentication() -> None:
    async with raw_server(respond_with(DOCUMENT)) as server, open_client() as control:
        await control.post_form(server.base_url, {"token": "a&b"}, auth=("id", "secret"))
        request = server.requests[0].lower()
        assert request.startswith(b"post /fhir http/1.1\r\n")
        assert b"\r\nauthorization: basic awq6c2vjcmv0\r\n" in request
        assert request.endswith(b"\r\n\r\ntoken=a%26b")


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"
    async with raw_server(respond_with(moved)) as server, open_client() as control:
        assert (await control.get_document(server.base_url)).status == 302
        assert (await control.get_document(server.base_url)).status == 302
        assert len(server.requests) == 2
        assert not any(b"cookie" in request.lower() for request in server.requests)


BAD = {
    "too large by its length": (OK + b"content-length: 5\r\n\r\nhello", "larger than 4 bytes"),
    "too large by its chunks": (OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "larger than 4 bytes"),
    "compressed": (OK + b"content-encoding: gzip\r\ncontent-length: 1\r\n\r\nx", "encoded document"),
    "no HTTP": (b"SSH-2.0-x\r\n\r\n", r"The request to 127\.0\.0\.1 failed"),
    "cut short": (OK + b"content-length: 2\r\nconnection: close\r\n\r\nx", r"The request to 127\.0\.0\.1 failed"),
}


@pytest.mark.parametrize("name", BAD)
async def test_an_answer_that_is_no_document(name: str) -> None:
    data, reason = BAD[name]

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(data)

    async with raw_server(script) as server, open_client(max_bytes=4) as control:
        with pytest.raises(ControlError, match=reason):
            await control.get_document(server.base_url)


async def test_a_server_that_drips_does_not_outlast_the_deadline() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(OK + b"content-length: 1000000\r\n\r\n")
        while True:
            peer.write(b"x")
            await peer.writer.drain()
            await asyncio.sleep(0)

    async with raw_server(script) as server, open_client(timeout=0.1) as control:
        with pytest.raises(ControlError, match=r"did not respond within 0\.1 seconds"):
            await control.get_document(server.base_url)


async def test_nothing_listens() -> None:
    async with raw_server(respond_with(DOCUMENT)) as server:
        base_url = server.base_url
    async with open_client() as control:
        with pytest.raises(ControlError, match=r"The request to 127\.0\.0\.1 failed"):
            await control.get_document(base_url)


@pytest.mark.parametrize(
    "url", ["", "a", "ftp://a/b", "http://", "https:///a", "http://[::1", "http://a:99999999/", "\0"]
)
async def test_what_is_no_address(url: str) -> None:
    async with open_client() as control:
        with pytest.raises(ControlError):
            await control.get_document(url)


GUARDED = {
    "http://keys.example/": "must be https",
    "https://user@keys.example/": "without user information",
    "https://127.0.0.1/": "not public",
    "https://localhost/": "not public",
    "https://10.1.2.3/": "not public",
    "https://169.254.169.254/latest/meta-data": "not public",
    "https://[::1]/": "not public",
    "https://[::ffff:127.0.0.1]/": "not public",
    "https://0/": "not public",
    "https://2130706433/": "not public",
    "https://0x7f.1/": "not public",
}


@pytest.mark.parametrize("url", GUARDED)
async def test_an_outsiders_url_leads_to_no_address_of_ours(url: str) -> None:
    async with open_client(public_only=True) as control:
        with pytest.raises(ControlError, match=GUARDED[url]):
            await control.get_document(url)


async def test_development_lets_loopback_and_http_through() -> None:
    async with raw_server(respond_with(DOCUMENT)) as server, open_client(public_only=True, development=True) as control:
        assert (await control.get_document(server.base_url)).status == 200


@contextlib.asynccontextmanager
async def named_server(authority: Authority, name: str) -> AsyncIterator[RawServer]:
    signed = authority.sign("server", name)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(signed.certificate, signed.key)
    async with raw_server(respond_with(DOCUMENT), tls) as server:
        yield server


async def test_a_guarded_request_goes_to_the_address_that_was_looked_at_under_its_own_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    trusted = tls_context(ca_file=str(authority.file))
    async with (
        named_server(authority, "localhost") as server,
        open_client(public_only=True, permitted_networks=LOOPBACK, ssl_context=trusted) as control,
    ):
        url = server.base_url.replace("127.0.0.1", "localhost")
        if socket.AF_INET6 in await address_families("localhost"):
            pytest.skip("localhost is an IPv6 address here, and the test server listens on IPv4 only")
        assert (await control.get_document(url)).body == b"{}"
        host = url.split("/")[2].encode()
        assert b"\r\nhost: " + host + b"\r\n" in server.requests[0].lower()


async def test_a_guarded_request_still_verifies_the_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    trusted = tls_context(ca_file=str(authority.file))
    async with (
        named_server(authority, "elsewhere.example") as server,
        open_client(public_only=True, permitted_networks=LOOPBACK, ssl_context=trusted) as control,
    ):
        with pytest.raises(ControlError, match="CERTIFICATE_VERIFY_FAILED"):
            await control.get_document(server.base_url)


async def address_families(host: str) -> set[socket.AddressFamily]:
    found = await asyncio.get_running_loop().getaddrinfo(host, 443)
    return {entry[0] for entry in found}


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::1"])
def test_an_address_of_the_public_internet(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "172.16.0.1", "192.0.2.1", "192.168.1.1",
        "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fc00::1", "fe80::1", "fe80::1%eth0",
        "ff02::1", "2001:db8::1", "::ffff:10.0.0.1", "2002:a00:1::1", "64:ff9b::a00:1", "64:ff9b:1::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
