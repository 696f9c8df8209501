"""TLS to the FHIR server: verification, and a client certificate if the server requests one."""

import ssl
from pathlib import Path

import pytest

from gateway.upstream.connection_pool import ConnectionPool
from gateway.upstream.exchange_types import Request, Unreachable
from gateway.upstream.tls import tls_context
from tests.certificates.authority import Authority, SignedCertificate
from tests.upstream.raw_server import HELLO, OK, Peer, fetch, open_pool, raw_server, respond_with


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


def server_context(signed: SignedCertificate, clients: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(signed.certificate, signed.key)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_a_server_with_a_trusted_certificate(authority: Authority) -> None:
    tls = server_context(authority.sign("server", "127.0.0.1"))
    context = tls_context(ca_file=str(authority.file))
    async with raw_server(respond_with(HELLO), tls) as server, open_pool(server, ssl_context=context) as pool:
        for _ in range(5):
            assert await fetch(pool) == (200, b"hello")
        assert pool.opened_total <= 2


async def test_large_bodies_pass_both_ways(authority: Authority) -> None:
    body = bytes(range(256)) * 16384

    async def script(peer: Peer) -> None:
        request = await peer.read_request()
        received = request.partition(b"\r\n\r\n")[2]
        peer.write(OK + b"content-length: %d\r\n\r\n" % len(received) + received)
        await peer.wait_until_closed()

    tls = server_context(authority.sign("server", "127.0.0.1"))
    context = tls_context(ca_file=str(authority.file))
    async with raw_server(script, tls) as server, open_pool(server, ssl_context=context) as pool:
        answer = await pool.send(Request(b"POST", b"/fhir/Binary", (), body))
        assert await answer.read(len(body)) == body


async def test_a_body_that_the_end_of_the_connection_ends(authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(OK + b"\r\nhello")

    tls = server_context(authority.sign("server", "127.0.0.1"))
    context = tls_context(ca_file=str(authority.file))
    async with raw_server(script, tls) as server, open_pool(server, ssl_context=context) as pool:
        assert await fetch(pool) == (200, b"hello")


async def test_a_server_whose_authority_is_unknown(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    tls = server_context(authority.sign("server", "127.0.0.1"))
    context = tls_context(ca_file=str(stranger.file))
    async with raw_server(respond_with(HELLO), tls) as server, open_pool(server, ssl_context=context) as pool:
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await fetch(pool)
        assert (pool.in_use, server.requests) == (0, [])


async def test_a_server_with_a_certificate_for_another_name(authority: Authority) -> None:
    tls = server_context(authority.sign("server", "elsewhere.example"))
    context = tls_context(ca_file=str(authority.file))
    async with raw_server(respond_with(HELLO), tls) as server, open_pool(server, ssl_context=context) as pool:
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await fetch(pool)


async def test_a_server_without_tls() -> None:
    async def script(peer: Peer) -> None:
        peer.write(HELLO)
        await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server.base_url.replace("http:", "https:")) as pool:
        with pytest.raises(Unreachable):
            await fetch(pool)


async def test_a_server_that_asks_for_our_certificate(authority: Authority) -> None:
    tls = server_context(authority.sign("server", "127.0.0.1"), clients=authority.file)
    ours = authority.sign("gateway")
    client_context = tls_context(
        ca_file=str(authority.file), certificate_file=str(ours.certificate), key_file=str(ours.key)
    )
    async with raw_server(respond_with(HELLO), tls) as server:
        async with open_pool(server, ssl_context=client_context) as pool:
            assert await fetch(pool) == (200, b"hello")
        async with open_pool(server, ssl_context=tls_context(ca_file=str(authority.file))) as pool:
            with pytest.raises(Unreachable):
                await fetch(pool)


def test_the_least_version_is_1_2() -> None:
    assert tls_context().minimum_version is ssl.TLSVersion.TLSv1_2
    assert tls_context().verify_mode is ssl.CERT_REQUIRED


def test_files_that_cannot_be_used_are_named_with_what_is_wrong(authority: Authority, tmp_path: Path) -> None:
    ours, other = authority.sign("ours"), authority.sign("other")
    old, locked = authority.sign("old", days=(-9, -2)), authority.sign("locked", password=b"secret")
    with pytest.raises(ValueError, match=r"absent\.pem"):
        tls_context(ca_file=str(tmp_path / "absent.pem"))
    for certificate, key, sentence in (
        (ours.certificate, other.key, r"ours\.pem, .*other\.key\): the key in .*other\.key is not that of the first"),
        (old.certificate, old.key, r"old\.pem has expired on \d{4}-\d\d-\d\d at \d\d:\d\d UTC"),
        (locked.certificate, locked.key, r"locked\.key has a password"),
        (ours.key, ours.key, r"ours\.key holds no certificate"),
    ):
        with pytest.raises(ValueError, match=sentence):
            tls_context(certificate_file=str(certificate), key_file=str(key))


async def test_a_server_whose_certificate_has_expired(authority: Authority) -> None:
    tls = server_context(authority.sign("server", "127.0.0.1", days=(-9, -2)))
    context = tls_context(ca_file=str(authority.file))
    async with raw_server(respond_with(HELLO), tls) as server, open_pool(server, ssl_context=context) as pool:
        with pytest.raises(Unreachable, match="certificate has expired"):
            await fetch(pool)


async def test_a_tls_context_without_https_is_refused() -> None:
    with pytest.raises(ValueError, match="not https"):
        ConnectionPool("http://127.0.0.1", ssl_context=tls_context())
