"""TLS on the public port and on the admin port, where no proxy in front ends it."""

from pathlib import Path

import uvicorn

from gateway.certificates.file_context import FileContext
from gateway.certificates.server_context import server_context
from gateway.settings.serving.admin import Admin
from gateway.settings.serving.listen import Listen, ListenTls


def add_tls(config: uvicorn.Config, listen: Listen) -> None:
    """Let the server speak TLS by the configured files, and say so to browsers with every response.

    Raises `CertificateError` if the files cannot be used. Where the settings have no TLS, nothing changes.
    """
    asked = listen.client_certificates
    _add(
        config, "listen.tls", listen.tls, asked.authorities_file if asked is not None and asked.header is None else None
    )


def add_admin_tls(config: uvicorn.Config, admin: Admin) -> None:
    """The same for the admin port, which asks for no certificate of whoever connects."""
    _add(config, "admin.tls", admin.tls, None)


def _add(config: uvicorn.Config, setting: str, tls: ListenTls | None, authorities_file: Path | None) -> None:
    if tls is None:
        return
    files = [tls.certificate_file, tls.key_file, *([] if authorities_file is None else [authorities_file])]
    context = FileContext.of(setting, files, lambda: server_context(tls, authorities_file))
    config.ssl_context_factory = lambda _config, _default: context
    if tls.hsts_seconds:
        config.headers = [*config.headers, ("strict-transport-security", f"max-age={tls.hsts_seconds}")]
