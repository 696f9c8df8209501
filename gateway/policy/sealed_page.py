"""Paging links that only the grant they were made for can open (enforcement.md 4, leak_07).

A server's own paging link is a bearer handle (hapi.md B1). It leaves this gateway encrypted and authenticated, bound to
client, user, patient and scopes, and with an end. AES-SIV needs no random nonce, so sealing stays a pure function.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from gateway.policy.access import Access

MAX_SEALED_LENGTH = 16384
# Links are of a few lengths only: how long one is would tell of `shown`, and so of what is hidden.
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class SealedPage:
    """What a link remembers: the client's own request, and where the server keeps this page of its answer.

    `expires_at` is in seconds since the epoch. `shown` is how many of the permitted matches of the server's page stand
    on an earlier page of ours.
    """

    path: str
    query: str
    target: str
    expires_at: int
    shown: int = 0


class Sealer:
    """Seals and opens paging links with one key."""

    def __init__(self, key: bytes) -> None:
        """`key` is any secret of at least 32 bytes; a key of the right size is derived from it."""
        self._cipher = AESSIV(hashlib.sha512(b"smart-fhir-gateway page\x00" + key).digest())

    def seal(self, page: SealedPage, access: Access) -> str:
        """A URL-safe handle for `page` that only a token with the same grant opens."""
        text = orjson.dumps([page.path, page.query, page.target, page.expires_at, page.shown])
        padded = text.ljust(-(-len(text) // _BLOCK) * _BLOCK)
        return _written(self._cipher.encrypt(padded, [_binding(access)]))

    def open(self, handle: str, access: Access, now: float) -> SealedPage | None:
        """The page, or None: made up, altered, of another grant, or too old. All four look the same."""
        if len(handle) > MAX_SEALED_LENGTH:
            return None
        try:
            sealed = base64.b64decode(handle + "=" * (-len(handle) % 4), altchars=b"-_", validate=True)
            if _written(sealed) != handle:
                # Base64 has several texts for the same bytes; only the one that was handed out is a link (leak_07).
                return None
            # A link of an earlier release ends before `shown`; one of a later release may be of another form.
            page = SealedPage(*orjson.loads(self._cipher.decrypt(sealed, [_binding(access)])))
        except (binascii.Error, InvalidTag, TypeError, ValueError):
            return None
        return page if now < page.expires_at else None


def _written(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _binding(access: Access) -> bytes:
    """A digest of everything that makes two tokens the same grant."""
    parts = [access.issuer, access.client_id, access.subject, access.patient, str(access.user), access.scope_text]
    return hashlib.sha256(orjson.dumps(parts)).digest()
