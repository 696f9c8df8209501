"""TLS to the FHIR server: verified, and with a certificate of our own where the server asks for one."""

import ssl
from pathlib import Path

import pytest

from gateway.upstream.authentication import tls_context
from gateway.upstream.exchange import Request, Unreachable
from gateway.upstream.pool import ConnectionPool
from tests.upstream.certificates import Authority, Signed
from tests.upstream.raw import HELLO, OK, Peer, answers, fetch, pool_of, raw_server


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


def server_side(signed: Signed, clients: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(signed.certificate, signed.key)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_a_server_with_a_trusted_certificate(authority: Authority) -> None:
    tls = server_side(authority.sign("server", "127.0.0.1"))
    context = tls_context(ca_file=str(authority.file))
    async with raw_server(answers(HELLO), tls) as server, pool_of(server, ssl_context=context) as pool:
        for _ in range(5):
            assert await fetch(pool) == (200, b"hello")
        assert pool.opened_total <= 2


async def test_large_bodies_pass_both_ways(authority: Authority) -> None:
    body = bytes(range(256)) * 16384

    async def script(peer: Peer) -> None:
        request = await peer.request()
        received = request.partition(b"\r\n\r\n")[2]
        peer.write(OK + b"content-length: %d\r\n\r\n" % len(received) + received)
        await peer.gone()

    tls = server_side(authority.sign("server", "127.0.0.1"))
    context = tls_context(ca_file=str(authority.file))
    async with raw_server(script, tls) as server, pool_of(server, ssl_context=context) as pool:
        answer = await pool.send(Request(b"POST", b"/fhir/Binary", (), body))
        assert await answer.read(len(body)) == body


async def test_a_body_that_the_end_of_the_connection_ends(authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(OK + b"\r\nhello")

    tls = server_side(authority.sign("server", "127.0.0.1"))
    context = tls_context(ca_file=str(authority.file))
    async with raw_server(script, tls) as server, pool_of(server, ssl_context=context) as pool:
        assert await fetch(pool) == (200, b"hello")


async def test_a_server_whose_authority_is_unknown(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    tls = server_side(authority.sign("server", "127.0.0.1"))
    context = tls_context(ca_file=str(stranger.file))
    async with raw_server(answers(HELLO), tls) as server, pool_of(server, ssl_context=context) as pool:
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await fetch(pool)
        assert (pool.in_use, server.requests) == (0, [])


async def test_a_server_with_a_certificate_for_another_name(authority: Authority) -> None:
    tls = server_side(authority.sign("server", "elsewhere.example"))
    context = tls_context(ca_file=str(authority.file))
    async with raw_server(answers(HELLO), tls) as server, pool_of(server, ssl_context=context) as pool:
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await fetch(pool)


async def test_a_server_without_tls() -> None:
    async def script(peer: Peer) -> None:
        peer.write(HELLO)
        await peer.gone()

    async with raw_server(script) as server, pool_of(server.base_url.replace("http:", "https:")) as pool:
        with pytest.raises(Unreachable):
            await fetch(pool)


async def test_a_server_that_asks_for_our_certificate(authority: Authority) -> None:
    tls = server_side(authority.sign("server", "127.0.0.1"), clients=authority.file)
    ours = authority.sign("gateway")
    shown = tls_context(ca_file=str(authority.file), certificate_file=str(ours.certificate), key_file=str(ours.key))
    async with raw_server(answers(HELLO), tls) as server:
        async with pool_of(server, ssl_context=shown) as pool:
            assert await fetch(pool) == (200, b"hello")
        async with pool_of(server, ssl_context=tls_context(ca_file=str(authority.file))) as pool:
            with pytest.raises(Unreachable):
                await fetch(pool)


def test_the_least_version_is_1_2() -> None:
    assert tls_context().minimum_version is ssl.TLSVersion.TLSv1_2
    assert tls_context().verify_mode is ssl.CERT_REQUIRED


def test_files_that_cannot_be_used_are_named(authority: Authority, tmp_path: Path) -> None:
    ours, other = authority.sign("ours"), authority.sign("other")
    with pytest.raises(ValueError, match=r"absent\.pem"):
        tls_context(ca_file=str(tmp_path / "absent.pem"))
    with pytest.raises(ValueError, match=r"ours\.pem, .*other\.key"):
        tls_context(certificate_file=str(ours.certificate), key_file=str(other.key))


async def test_a_tls_context_without_https_is_refused() -> None:
    with pytest.raises(ValueError, match="not https"):
        ConnectionPool("http://127.0.0.1", ssl_context=tls_context())
