"""A context follows its files: looked at once in a while, replaced as a whole or not at all."""

import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.certificates.file_context import FileContext
from gateway.certificates.server_context import server_context
from gateway.settings.serving.listen import ListenTls
from tests.certificates.authority import Authority, SignedCertificate


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def files(authority: Authority) -> SignedCertificate:
    return authority.sign("gateway", "localhost")


def handshake(context: FileContext, authority: Authority) -> bytes:
    """The certificate that a new connection is shown, by a handshake in memory."""
    client_in, client_out, server_in, server_out = (ssl.MemoryBIO() for _ in range(4))
    trusting = ssl.create_default_context(cafile=str(authority.file))
    client = trusting.wrap_bio(client_in, client_out, server_hostname="localhost")
    server = context.wrap_bio(server_in, server_out, server_side=True)
    for _ in range(4):
        _step(client.do_handshake)
        server_in.write(client_out.read())
        _step(server.do_handshake)
        client_in.write(server_out.read())
    shown = client.getpeercert(binary_form=True)
    assert shown is not None
    return shown


def _step(action: Callable[[], None]) -> None:
    with contextlib.suppress(ssl.SSLWantReadError):
        action()


def opened(files: SignedCertificate, clock: Clock) -> FileContext:
    tls = ListenTls(certificate_file=files.certificate, key_file=files.key)
    return FileContext.of("listen.tls", (files.certificate, files.key), lambda: server_context(tls), clock)


def test_changed_files_are_in_use_after_the_next_look(authority: Authority, files: SignedCertificate) -> None:
    clock = Clock()
    context = opened(files, clock)
    first = handshake(context, authority)
    authority.sign("gateway", "localhost")
    clock.now = 0.9
    assert handshake(context, authority) == first
    clock.now = 1.0
    second = handshake(context, authority)
    assert second != first
    clock.now = 2.0
    assert handshake(context, authority) == second


def test_a_link_that_leads_to_another_folder_is_a_change(authority: Authority, tmp_path: Path) -> None:
    """So a cluster replaces the files of a Secret."""
    clock, current = Clock(), tmp_path / "current"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made = authority.sign(name, "localhost")
        made.certificate.rename(tmp_path / name / "tls.pem")
        made.key.rename(tmp_path / name / "tls.key")
    current.symlink_to(tmp_path / "one")
    context = opened(SignedCertificate(current / "tls.pem", current / "tls.key"), clock)
    first = handshake(context, authority)
    current.unlink()
    current.symlink_to(tmp_path / "two")
    clock.now = 1.0
    assert handshake(context, authority) != first


@pytest.mark.parametrize("damage", ["the certificate alone is new", "the key is gone", "the certificate has expired"])
def test_what_cannot_be_used_leaves_the_old_one_and_is_told_once(
    damage: str, authority: Authority, files: SignedCertificate, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    context = opened(files, clock)
    first = handshake(context, authority)
    match damage:
        case "the certificate alone is new":
            files.certificate.write_bytes(authority.sign("other", "localhost").certificate.read_bytes())
        case "the key is gone":
            files.key.unlink()
        case _:
            authority.sign("gateway", "localhost", days=(-9, -2))
    for _ in range(3):
        clock.now += 1.0
        assert handshake(context, authority) == first
    assert [record.message for record in caplog.records] == ["changed certificates cannot be used"]
    authority.sign("gateway", "localhost")
    clock.now += 1.0
    assert handshake(context, authority) != first


def test_files_that_cannot_be_used_at_first_are_an_error(files: SignedCertificate) -> None:
    files.key.write_text("nothing")
    with pytest.raises(ValueError, match="holds no private key"):
        opened(files, Clock())
