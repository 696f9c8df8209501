"""The TLS context for connections to the FHIR server."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from gateway.certificates.certificate_files import check_pair


def tls_context(
    *, ca_file: str | None = None, certificate_file: str | None = None, key_file: str | None = None
) -> ssl.SSLContext:
    """A context that verifies the server by `ca_file` or the system's authorities, with an optional client certificate.

    The minimum is TLS 1.2 (checklist G-1). Raises `ValueError`, which names the files, if they cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if certificate_file is not None:
            # OpenSSL would present an expired certificate, and say less about a key that does not fit.
            check_pair(Path(certificate_file), Path(key_file or certificate_file), datetime.now(UTC))
            # With an empty password, an encrypted key is an error. Without one, OpenSSL would ask on the terminal.
            context.load_cert_chain(certificate_file, key_file, password="")
    except (OSError, ValueError) as error:
        files = ", ".join(file for file in (ca_file, certificate_file, key_file) if file is not None)
        raise ValueError(f"The certificates for the FHIR server cannot be used ({files}): {error}.") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
