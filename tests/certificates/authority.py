"""A certificate authority for one test, and the certificates that it signs.

They have every extension that strict checking demands (`ssl.VERIFY_X509_STRICT`, the default since Python 3.13).
"""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BOTH_PURPOSES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True, slots=True)
class SignedCertificate:
    """Files of a certificate and its key."""

    certificate: Path
    key: Path

    @property
    def content(self) -> bytes:
        """The certificate as DER."""
        return x509.load_pem_x509_certificate(self.certificate.read_bytes()).public_bytes(serialization.Encoding.DER)


class Authority:
    """A certificate authority. `file` is its certificate, which clients trust."""

    def __init__(
        self, folder: Path, name: str, *, days: tuple[int, int] = (-1, 1), key: SignedCertificate | None = None
    ) -> None:
        """With the `key` of a certificate, that certificate is the authority, whether it may be one or not."""
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1()) if key is None else _read_key(key.key)
        self._key_identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        certificate = (
            self._builder(name, self._key.public_key(), days, name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(key_cert_sign=True), critical=True)
        )
        self.file = folder / f"{name}.pem" if key is None else key.certificate
        if key is None:
            self.file.write_bytes(self._sign(certificate, self._key))

    def sign(
        self,
        name: str,
        *hosts: str,
        days: tuple[int, int] = (-1, 1),
        password: bytes | None = None,
        purposes: Sequence[x509.ObjectIdentifier] = BOTH_PURPOSES,
        is_self_signed: bool = False,
    ) -> SignedCertificate:
        """A certificate of `hosts`, which are DNS names, IP addresses or URIs, for servers and for clients.

        It is valid from one of the `days` to the other, counted from now. The `password` is that of its key. One that
        is self-signed has nothing to do with this authority.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(name, key.public_key(), days, name if is_self_signed else self._name)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            certificate = certificate.add_extension(names, critical=False)
        files = SignedCertificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        files.certificate.write_bytes(self._sign(certificate, key if is_self_signed else self._key))
        encryption = (
            serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
        )
        files.key.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
        return files

    def _builder(
        self, name: str, key: ec.EllipticCurvePublicKey, days: tuple[int, int], issuer: str
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(issuer))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=-days[0]))
            .not_valid_after(now + datetime.timedelta(days=days[1]))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._key_identifier), critical=False
            )
        )

    @staticmethod
    def _sign(certificate: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
        return certificate.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _read_key(file: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> x509.GeneralName:
    if "://" in host:
        return x509.UniformResourceIdentifier(host)
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, key_cert_sign: bool = False, digital_signature: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
