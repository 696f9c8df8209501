"""Which certificate is that of a client, and which is not (RFC 8705 2)."""

import time
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.certificates.client_certificates import CertificateRefused, ClientCertificateVerifier
from gateway.certificates.thumbprint import certificate_thumbprint
from gateway.oauth.client.client import AuthenticationMethod, CertificateName, Client
from tests.certificates.authority import Authority

BY_DNS = CertificateName("san_dns", "backend.example")
BY_URI = CertificateName("san_uri", "spiffe://example/backend")
BY_SUBJECT = CertificateName("subject_dn", "CN=backend")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


def client_of(name: CertificateName | None = BY_DNS, thumbprints: frozenset[str] = frozenset()) -> Client:
    method = AuthenticationMethod.TLS_CLIENT_AUTH if name else AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH
    return Client("backend", "Backend", method, certificate_name=name, certificate_thumbprints=thumbprints)


def problem(file: Path | None, client: Client, content: bytes | None) -> str | None:
    """Why a certificate is refused; None if it is the client's."""
    try:
        thumbprint = ClientCertificateVerifier(file).verify(client, content, time.time())
    except CertificateRefused as error:
        return str(error)
    assert content is not None
    assert thumbprint == certificate_thumbprint(content)
    return None


@pytest.mark.parametrize("name", [BY_DNS, BY_URI, BY_SUBJECT])
def test_a_certificate_of_an_authority_with_the_registered_name(name: CertificateName, authority: Authority) -> None:
    signed = authority.sign("backend", "backend.example", "spiffe://example/backend")
    assert problem(authority.file, client_of(name), signed.content) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("san_dns", "other.example"),
        ("san_dns", "*.example"),
        ("san_dns", "spiffe://example/backend"),
        ("san_uri", "spiffe://example/other"),
        ("san_uri", "backend.example"),
        ("subject_dn", "CN=other"),
        ("subject_dn", "CN=backend,O=Example"),
    ],
)
def test_another_name_is_another_client(name: str, value: str, authority: Authority) -> None:
    signed = authority.sign("backend", "backend.example", "spiffe://example/backend")
    client = client_of(CertificateName(name, value))  # type: ignore[arg-type]  # the table has texts
    assert problem(authority.file, client, signed.content) == (
        f"the certificate has another {name} than the client is registered with"
    )


def test_certificates_that_are_refused(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    stranger = Authority(tmp_path / "elsewhere", "authority")
    host, server = "backend.example", [ExtendedKeyUsageOID.SERVER_AUTH]
    no_authority = "the certificate is issued by no authority of authorities_file that is in force"
    for content, sentence in (
        (None, "no certificate was presented"),
        (b"", "the certificate cannot be read"),
        (b"\x30\x03\x02\x01\x01", "the certificate cannot be read"),
        (authority.sign("old", host, days=(-9, -2)).content, "the certificate has expired on "),
        (authority.sign("early", host, days=(2, 9)).content, "the certificate is valid only from "),
        (authority.sign("server", host, purposes=server).content, "not for the authentication of clients"),
        # The authority of the same name has another key.
        (stranger.sign("backend", host).content, no_authority),
        (authority.sign("self", host, is_self_signed=True).content, no_authority),
        (authority.sign("nameless").content, "the certificate has another san_dns"),
    ):
        found = problem(authority.file, client_of(), content)
        assert found is not None, sentence
        assert sentence in found
    assert problem(None, client_of(), authority.sign("backend", host).content) == no_authority


def test_an_authority_that_has_expired_vouches_for_nobody(tmp_path: Path) -> None:
    old = Authority(tmp_path, "old-authority", days=(-9, -2))
    found = problem(old.file, client_of(), old.sign("backend", "backend.example").content)
    assert found is not None
    assert "by no authority" in found


def test_a_certificate_of_an_app_is_no_authority_for_others(authority: Authority, tmp_path: Path) -> None:
    """A self-signed certificate stands in the same file, so that TLS lets it through."""
    app = authority.sign("app", "app.example", is_self_signed=True)
    forged = Authority(tmp_path, "app", key=app).sign("backend", "backend.example")
    assert problem(app.certificate, client_of(), forged.content) is not None


def test_a_self_signed_certificate_is_known_by_its_thumbprint(authority: Authority) -> None:
    mine = authority.sign("mine", is_self_signed=True).content
    other = authority.sign("other", is_self_signed=True).content
    old = authority.sign("old", days=(-9, -2), is_self_signed=True).content
    client = client_of(None, frozenset({certificate_thumbprint(mine), certificate_thumbprint(old)}))
    assert problem(None, client, mine) is None
    assert problem(None, client, other) == "the certificate is none of those that the client is registered with"
    assert "has expired" in str(problem(None, client, old))


@pytest.mark.parametrize(
    "method",
    [AuthenticationMethod.NONE, AuthenticationMethod.CLIENT_SECRET_BASIC, AuthenticationMethod.PRIVATE_KEY_JWT],
)
def test_a_client_that_authenticates_otherwise_has_no_certificate(
    method: AuthenticationMethod, authority: Authority
) -> None:
    client = Client("backend", "Backend", method, certificate_name=BY_DNS)
    content = authority.sign("backend", "backend.example").content
    assert problem(authority.file, client, content) == "the client does not authenticate by a certificate"


def test_the_authorities_are_those_that_the_file_has_now(authority: Authority, tmp_path: Path) -> None:
    verifier, client = ClientCertificateVerifier(authority.file), client_of()
    content = authority.sign("backend", "backend.example").content
    verifier.verify(client, content, time.time())
    for text in (Authority(tmp_path, "another").file.read_bytes(), b"nothing"):
        authority.file.write_bytes(text)
        with pytest.raises(CertificateRefused):
            verifier.verify(client, content, time.time())
    authority.file.unlink()
    with pytest.raises(CertificateRefused, match="cannot be read: no such file"):
        verifier.verify(client, content, time.time())


def test_the_thumbprint_is_the_one_of_rfc_8705() -> None:
    """Base64url of SHA-256, without padding: 43 characters."""
    assert certificate_thumbprint(b"") == "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
