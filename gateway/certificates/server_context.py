"""The TLS context of the public port."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from gateway.certificates.certificate_files import CertificateError, check_pair, read_certificates
from gateway.settings.serving.listen import ListenTls

# Of TLS 1.2: with forward secrecy and authenticated encryption (RFC 9325 4.2). Those of TLS 1.3 have both.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(tls: ListenTls, authorities_file: Path | None = None) -> ssl.SSLContext:
    """A context of the files. Raises `CertificateError`, with a sentence, if they cannot be used.

    With authorities, clients are asked for a certificate, and need not have one.
    """
    check_pair(tls.certificate_file, tls.key_file, datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror
        raise CertificateError(f"{tls.certificate_file} and {tls.key_file} cannot be used: {reason}") from error
    if authorities_file is not None:
        read_certificates(authorities_file)
        context.load_verify_locations(authorities_file)
        context.verify_mode = ssl.CERT_OPTIONAL
        # Each certificate of the file is trusted by itself, also one that is self-signed or has an authority above it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
