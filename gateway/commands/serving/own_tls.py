"""TLS on the public port, where no proxy in front ends it."""

import uvicorn

from gateway.certificates.file_context import FileContext
from gateway.certificates.server_context import server_context
from gateway.settings.serving.listen import Listen


def add_tls(config: uvicorn.Config, listen: Listen) -> None:
    """Let the server speak TLS by the configured files, and say so to browsers with every response.

    Raises `CertificateError` if the files cannot be used. Where the settings have no TLS, nothing changes.
    """
    tls = listen.tls
    if tls is None:
        return
    asked = listen.client_certificates
    authorities_file = asked.authorities_file if asked is not None and asked.header is None else None
    files = [tls.certificate_file, tls.key_file, *([] if authorities_file is None else [authorities_file])]
    context = FileContext.of("listen.tls", files, lambda: server_context(tls, authorities_file))
    config.ssl_context_factory = lambda _config, _default: context
    if tls.hsts_seconds:
        config.headers = [*config.headers, ("strict-transport-security", f"max-age={tls.hsts_seconds}")]
