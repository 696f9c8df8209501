"""The thumbprint by which a token names a certificate."""

import base64
import hashlib


def certificate_thumbprint(content: bytes) -> str:
    """`x5t#S256` of a certificate in DER (RFC 8705 3.1)."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode("ascii")
