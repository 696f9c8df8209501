"""Certificates and keys of PEM files, and what is wrong with them in a sentence."""

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


class CertificateError(ValueError):
    """A file cannot be used. The message is a sentence for the operator, and holds no key."""


def read_certificates(file: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file, in its order; at least one. Raises `CertificateError`."""
    content = _read(file)
    try:
        found = x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise CertificateError(f"{file} holds no certificate in the PEM form that can be read") from error
    return found


def check_pair(certificate_file: Path, key_file: Path, now: datetime) -> x509.Certificate:
    """The certificate of the first file, if it is in force and the key of the second is its own.

    Raises `CertificateError`.
    """
    certificate = read_certificates(certificate_file)[0]
    content = _read(key_file)
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as error:
        raise CertificateError(f"the key in {key_file} has a password, which nobody could type in") from error
    except ValueError as error:
        raise CertificateError(f"{key_file} holds no private key in the PEM form that can be read") from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise CertificateError(f"the key in {key_file} is not that of the first certificate in {certificate_file}")
    problem = validity_problem(certificate, now)
    if problem is not None:
        raise CertificateError(f"the certificate in {certificate_file} {problem}")
    return certificate


def validity_problem(certificate: x509.Certificate, now: datetime) -> str | None:
    """Why a certificate is not in force at this time; None if it is."""
    if now > certificate.not_valid_after_utc:
        return f"has expired on {certificate.not_valid_after_utc:%Y-%m-%d at %H:%M} UTC"
    if now < certificate.not_valid_before_utc:
        return f"is valid only from {certificate.not_valid_before_utc:%Y-%m-%d at %H:%M} UTC on"
    return None


def file_identity(file: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written or another one takes its place, also by a link to another folder."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CertificateError(f"{file} cannot be read: {(error.strerror or 'unknown error').lower()}") from error
