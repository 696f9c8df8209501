"""The certificate that the client of a request has presented, also to a proxy that ends TLS."""

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from gateway.asgi.client_address import TrustedProxies
from gateway.asgi.types import CLIENT_CERTIFICATE, Scope
from gateway.certificates.thumbprint import certificate_thumbprint

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")
# How DER of a certificate begins (ITU-T X.690 8.9).
_SEQUENCE = b"\x30"
# Bytes. A certificate with a long chain of names is a few kilobytes.
_MAX_LENGTH = 32 * 1024


class CertificateHeader:
    """The header of trusted proxies that holds the certificate of their client."""

    def __init__(self, name: str, proxies: TrustedProxies) -> None:
        """`name` is that of the header, in any case."""
        self._name = name.lower().encode("ascii")
        self._proxies = proxies

    def set_certificate(self, scope: Scope) -> None:
        """Put the certificate where that of the connection itself would be; None from anybody else.

        Must come before `scope["client"]` becomes the client instead of the peer.
        """
        peer = scope.get("client")
        content = None
        if peer is not None and self._proxies.trusts(peer[0]):
            values = [value for name, value in scope["headers"] if name == self._name]
            # Of two, one may be what the client sent itself.
            content = read_certificate_field(values[0]) if len(values) == 1 else None
        # A new mapping: that of the connection is shared by all of its requests, which are of several clients here.
        scope["extensions"] = {**scope.get("extensions", {}), CLIENT_CERTIFICATE: content}


def read_certificate_field(value: bytes) -> bytes | None:
    """The DER of a header: percent-encoded PEM, RFC 9440's `:base64:`, or base64 alone. None for anything else."""
    if not value or len(value) > _MAX_LENGTH:
        return None
    text = unquote_to_bytes(value).strip()
    pem = _PEM.fullmatch(text)
    if pem is not None:
        text = b"".join(pem[1].split())
    elif text.startswith(b":") and text.endswith(b":"):
        text = text[1:-1]
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return content if content.startswith(_SEQUENCE) else None


def client_certificate(scope: Scope) -> bytes | None:
    """The certificate that the client of a request has presented, as DER."""
    content = scope.get("extensions", {}).get(CLIENT_CERTIFICATE)
    return content if isinstance(content, bytes) else None


def is_presented_with(thumbprint: str | None, scope: Scope) -> bool:
    """Whether a request has come with the certificate that its token is bound to, or the token is bound to none."""
    if thumbprint is None:
        return True
    content = client_certificate(scope)
    return content is not None and certificate_thumbprint(content) == thumbprint
