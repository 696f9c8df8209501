"""Whether the certificate of a connection is that of a client (RFC 8705 2)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.certificates.certificate_files import (
    CertificateError,
    file_identity,
    read_certificates,
    validity_problem,
)
from gateway.certificates.thumbprint import certificate_thumbprint
from gateway.oauth.client.client import AuthenticationMethod, CertificateName, Client

# Signatures over these can be forged.
_WEAK_HASHES = (hashes.MD5, hashes.SHA1)
_FOR_CLIENTS = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


class CertificateRefused(Exception):
    """The certificate is not that of the client. The message has the reason, for the log."""


class ClientCertificateVerifier:
    """Compares certificates with what clients are registered with."""

    def __init__(self, authorities_file: Path | None) -> None:
        """The file is read when it is needed, and again when it has changed."""
        self._file = authorities_file
        self._seen: tuple[int, int, int] | None = None
        self._authorities: list[x509.Certificate] = []

    def verify(self, client: Client, content: bytes | None, now: float) -> str:
        """The thumbprint of the certificate. `now` is in seconds since the epoch. Raises `CertificateRefused`."""
        if content is None:
            raise CertificateRefused("no certificate was presented, or no trusted proxy passed it on")
        try:
            certificate = x509.load_der_x509_certificate(content)
            self._check(client, certificate, certificate_thumbprint(content), datetime.fromtimestamp(now, UTC))
        except (ValueError, x509.DuplicateExtension) as error:
            raise CertificateRefused(f"the certificate cannot be read: {error}") from error
        return certificate_thumbprint(content)

    def _check(self, client: Client, certificate: x509.Certificate, thumbprint: str, now: datetime) -> None:
        problem = validity_problem(certificate, now)
        if problem is not None:
            raise CertificateRefused(f"the certificate {problem}")
        if client.authentication is AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH:
            if thumbprint not in client.certificate_thumbprints:
                raise CertificateRefused("the certificate is none of those that the client is registered with")
            return
        name = client.certificate_name
        if client.authentication is not AuthenticationMethod.TLS_CLIENT_AUTH or name is None:
            raise CertificateRefused("the client does not authenticate by a certificate")
        if not may_authenticate_clients(certificate):
            raise CertificateRefused("the certificate is not for the authentication of clients (extendedKeyUsage)")
        if not is_issued_by(certificate, self._read_authorities(), now):
            raise CertificateRefused("the certificate is issued by no authority of authorities_file that is in force")
        if not has_name(certificate, name):
            raise CertificateRefused(f"the certificate has another {name.kind} than the client is registered with")

    def _read_authorities(self) -> Sequence[x509.Certificate]:
        if self._file is None:
            return ()
        seen = file_identity(self._file)
        if seen is None or seen != self._seen:
            try:
                self._authorities = read_certificates(self._file)
            except CertificateError as error:
                # An authority may have been taken out of it.
                self._seen, self._authorities = None, []
                raise CertificateRefused(str(error)) from error
            self._seen = seen
        return self._authorities


def is_issued_by(certificate: x509.Certificate, authorities: Sequence[x509.Certificate], now: datetime) -> bool:
    """Whether one of these authorities, which is in force, has signed the certificate itself."""
    if isinstance(certificate.signature_hash_algorithm, _WEAK_HASHES):
        return False
    return any(_is_signed_by(certificate, authority, now) for authority in authorities)


def _is_signed_by(certificate: x509.Certificate, authority: x509.Certificate, now: datetime) -> bool:
    if validity_problem(authority, now) is not None or not _is_authority(authority):
        return False
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    """RFC 5280 4.2.1.9. A self-signed certificate of an app in the same file issues no others."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def may_authenticate_clients(certificate: x509.Certificate) -> bool:
    """RFC 5280 4.2.1.12: without the extension, every purpose is allowed."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return not _FOR_CLIENTS.isdisjoint(usage)


def has_name(certificate: x509.Certificate, name: CertificateName) -> bool:
    """Whether the certificate has the name. Names are compared as they stand, without wildcards."""
    if name.kind == "subject_dn":
        return certificate.subject == x509.Name.from_rfc4514_string(name.value)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    match name.kind:
        case "san_dns":
            return name.value in names.get_values_for_type(x509.DNSName)
        case "san_uri":
            return name.value in names.get_values_for_type(x509.UniformResourceIdentifier)
    assert_never(name.kind)
