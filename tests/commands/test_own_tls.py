"""TLS on the public port: real certificates, real connections, and files that change while the gateway serves."""

import asyncio
import http.client
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509

from gateway.commands.check_health import check_health
from gateway.settings.serving.listen import Listen, ListenTls
from tests.certificates.authority import Authority, SignedCertificate
from tests.commands.serving_process import ServingProcess, serving_process, until
from tests.commands.test_check_config import make_files, problems_of, put, valid_values
from tests.proxy.lenient_server import lenient_server

HOSTS = ("127.0.0.1", "localhost")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
async def files(authority: Authority) -> SignedCertificate:
    return authority.sign("gateway", *HOSTS)


@pytest.fixture
async def gateway(files: SignedCertificate, authority: Authority) -> AsyncIterator[ServingProcess]:
    tls = {"certificate_file": str(files.certificate), "key_file": str(files.key)}
    async with (
        lenient_server() as server,
        serving_process(server.base_url, {"listen": {"tls": tls}}, trusted_ca=authority.file) as process,
    ):
        yield process


def connect(gateway: ServingProcess, authority: Authority, **options: object) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(authority.file))
    for name, value in options.items():
        setattr(context, name, value)
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
    return context.wrap_socket(connection, server_hostname="localhost")


def serial_of(connection: ssl.SSLSocket) -> int:
    content = connection.getpeercert(binary_form=True)
    assert content is not None
    return x509.load_der_x509_certificate(content).serial_number


def serial_now(gateway: ServingProcess, authority: Authority) -> int:
    with connect(gateway, authority) as connection:
        return serial_of(connection)


def ask(connection: ssl.SSLSocket) -> bytes:
    """One request on a connection that stays open."""
    connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
    response = http.client.HTTPResponse(connection)
    response.begin()
    assert response.getheader("strict-transport-security") == "max-age=31536000"
    return response.read().strip()


async def test_it_is_served_and_a_new_certificate_is_in_use_without_a_failed_request(
    gateway: ServingProcess, authority: Authority, files: SignedCertificate
) -> None:
    first = x509.load_pem_x509_certificate(files.certificate.read_bytes()).serial_number
    before = await asyncio.to_thread(connect, gateway, authority)
    assert (before.version(), serial_of(before)) == ("TLSv1.3", first)
    assert await asyncio.to_thread(ask, before) == b"alive"

    answers = 0
    replaced = False

    async def keep_asking() -> None:
        nonlocal answers
        while not replaced:
            with await asyncio.to_thread(connect, gateway, authority) as connection:
                assert await asyncio.to_thread(ask, connection) == b"alive"
            answers += 1

    asking = asyncio.create_task(keep_asking())
    second = authority.sign("gateway", *HOSTS)
    assert second.certificate == files.certificate
    expected = x509.load_pem_x509_certificate(second.certificate.read_bytes()).serial_number
    await until(lambda: serial_now(gateway, authority) == expected)
    replaced = True
    await asking
    assert answers > 0
    # The connection from before goes on with what it began with.
    assert await asyncio.to_thread(ask, before) == b"alive"
    before.close()
    assert "changed certificates are in use" in gateway.events()


async def test_files_that_do_not_fit_together_leave_the_old_certificate_in_use(
    gateway: ServingProcess, authority: Authority, files: SignedCertificate
) -> None:
    first = await asyncio.to_thread(serial_now, gateway, authority)
    other = authority.sign("other", *HOSTS)
    files.key.write_bytes(other.key.read_bytes())
    # The files are looked at when somebody connects.
    await until(
        lambda: serial_now(gateway, authority) == first and "changed certificates cannot be used" in gateway.events()
    )
    [line] = [line for line in gateway.log() if line["event"] == "changed certificates cannot be used"]
    assert line["setting"] == "listen.tls"
    assert f"the key in {files.key} is not that of the first certificate in {files.certificate}" in line["problem"]
    files.certificate.write_bytes(other.certificate.read_bytes())
    expected = x509.load_pem_x509_certificate(other.certificate.read_bytes()).serial_number
    await until(lambda: serial_now(gateway, authority) == expected)


async def test_every_worker_follows_the_files(files: SignedCertificate, authority: Authority) -> None:
    tls = {"certificate_file": str(files.certificate), "key_file": str(files.key)}
    async with (
        lenient_server() as server,
        serving_process(server.base_url, {"listen": {"tls": tls}}, 2, trusted_ca=authority.file) as process,
    ):
        first = await asyncio.to_thread(serial_now, process, authority)
        authority.sign("gateway", *HOSTS)
        # Each worker looks for itself, when it gets a connection. Twenty in a row reach both of them; one that starts
        # only now has the new files from the beginning.
        await until(lambda: first not in {serial_now(process, authority) for _ in range(20)}, seconds=60)


async def test_what_is_older_or_weaker_than_it_may_be_is_refused(gateway: ServingProcess, authority: Authority) -> None:
    with (
        pytest.raises(ssl.SSLError),
        pytest.warns(DeprecationWarning),
    ):
        await asyncio.to_thread(
            connect, gateway, authority, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1
        )
    with await asyncio.to_thread(connect, gateway, authority, maximum_version=ssl.TLSVersion.TLSv1_2) as connection:
        cipher = connection.cipher()
        assert cipher is not None
        assert "ECDHE" in cipher[0]
        assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]


async def test_plain_http_on_the_port_of_tls_is_no_request(gateway: ServingProcess) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert b"alive" not in await reader.read()
    writer.close()
    await writer.wait_closed()


async def test_the_health_check_speaks_tls_as_well(gateway: ServingProcess, files: SignedCertificate) -> None:
    tls = ListenTls(certificate_file=files.certificate, key_file=files.key)
    listen = Listen(port=gateway.port, tls=tls)
    assert await asyncio.to_thread(check_health, listen, "/healthz") == (True, "alive")


def test_what_is_wrong_with_the_files_is_said_before_the_start(authority: Authority, tmp_path: Path) -> None:
    good, other = authority.sign("good", *HOSTS), authority.sign("other", *HOSTS)
    old, early = authority.sign("old", *HOSTS, days=(-9, -2)), authority.sign("early", *HOSTS, days=(2, 9))
    locked = authority.sign("locked", *HOSTS, password=b"secret")
    text = tmp_path / "text.pem"
    text.write_text("nothing of the kind")
    for certificate, key, sentence in (
        (good.certificate, good.key, None),
        (good.certificate, other.key, f"the key in {other.key} is not that of the first certificate in"),
        (old.certificate, old.key, f"the certificate in {old.certificate} has expired on "),
        (early.certificate, early.key, f"the certificate in {early.certificate} is valid only from "),
        (locked.certificate, locked.key, f"the key in {locked.key} has a password"),
        (text, good.key, f"{text} holds no certificate in the PEM form"),
        (good.certificate, text, f"{text} holds no private key in the PEM form"),
        (good.key, good.certificate, f"{good.key} holds no certificate in the PEM form"),
    ):
        values = valid_values(make_files(tmp_path))
        put(values, "listen.tls", {"certificate_file": str(certificate), "key_file": str(key)})
        found = problems_of(tmp_path, values)
        assert found == [] if sentence is None else len(found) == 1 and sentence in found[0], found
