"""Sealed paging links, which work only with the grant that they were issued for (enforcement.md 4, leak_07).

Whoever has a paging link of the FHIR server can read the page (hapi.md B1). The gateway therefore encrypts and
authenticates it, binds it to client, user, patient and scopes, and lets it expire. AES-SIV needs no random nonce, so
sealing is a pure function.
"""

import base64
import binascii
import hashlib
import zlib
from dataclasses import dataclass

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from gateway.policy.grant_digest import grant_digest
from gateway.policy.permission.access import Access

MAX_SEALED_LENGTH = 16384
# In bytes. Without padding, the length of a link would reveal `matches_to_skip`, and with that what is hidden. For the
# same reason nothing in a link is compressed: the client chooses a part of the text, and could find out by the length
# what that has in common with the server's cursor (as CRIME did with TLS).
_PADDING_BLOCK = 256
_TAG_LENGTH = 16
_STORED = b"stored"


@dataclass(frozen=True, slots=True)
class SealedPage:
    """The content of a paging link: the client's request (`path`, `query`), and the page on the FHIR server (`target`).

    Without a target it is the request itself. `expires_at` is in seconds since the epoch. `matches_to_skip` is how many
    permitted matches of the server's page an earlier page of the gateway has already shown.
    """

    path: str
    query: str
    target: str | None
    expires_at: int
    matches_to_skip: int = 0


class Sealer:
    """Seals and opens paging links with a secret key."""

    def __init__(self, key: bytes) -> None:
        """`key` is any secret of at least 32 bytes; a key of the right size is derived from it."""
        self._cipher = AESSIV(hashlib.sha512(b"smart-fhir-gateway page\x00" + key).digest())

    def seal(self, page: SealedPage, access: Access) -> str:
        """A URL-safe handle for `page` that only a token with the same grant can open."""
        return self._seal_text(_encode_page(page), access)

    def seal_within(self, max_text: int, page: SealedPage, access: Access) -> str | None:
        """The same handle; None if its text would have more than `max_text` bytes (`text_limit`)."""
        text = _encode_page(page)
        return self._seal_text(text, access) if len(text) <= max_text else None

    def seal_for_store(self, page: SealedPage, access: Access) -> bytes:
        """What is stored in place of a handle that would be too long. Nobody sees its length, so it is compressed."""
        return self._cipher.encrypt(zlib.compress(_encode_page(page), 1), [grant_digest(access), _STORED])

    def open_stored(self, sealed: bytes, access: Access, now: float) -> SealedPage | None:
        """The page that `seal_for_store` sealed; None as in `open`."""
        try:
            text = zlib.decompress(self._cipher.decrypt(sealed, [grant_digest(access), _STORED]))
            page = SealedPage(*orjson.loads(text))
        except (InvalidTag, TypeError, ValueError, zlib.error):
            return None
        return page if now < page.expires_at else None

    def open(self, handle: str, access: Access, now: float) -> SealedPage | None:
        """The page; None if the handle is invalid, altered, expired or of another grant. `now` is in epoch seconds."""
        if len(handle) > MAX_SEALED_LENGTH:
            return None
        try:
            sealed = base64.b64decode(handle + "=" * (-len(handle) % 4), altchars=b"-_", validate=True)
            if _encode_handle(sealed) != handle:
                # Base64 has several texts for the same bytes. Only the one that was issued is accepted (leak_07).
                return None
            # A link of an earlier release has no `matches_to_skip`. One of a later release may have another form.
            page = SealedPage(*orjson.loads(self._cipher.decrypt(sealed, [grant_digest(access)])))
        except (binascii.Error, InvalidTag, TypeError, ValueError):
            return None
        return page if now < page.expires_at else None

    def _seal_text(self, text: bytes, access: Access) -> str:
        padded = text.ljust(-(-len(text) // _PADDING_BLOCK) * _PADDING_BLOCK)
        return _encode_handle(self._cipher.encrypt(padded, [grant_digest(access)]))


def text_limit(max_handle: int) -> int:
    """How many bytes a text may have whose handle has at most `max_handle` characters."""
    return (max_handle * 3 // 4 - _TAG_LENGTH) // _PADDING_BLOCK * _PADDING_BLOCK


def _encode_page(page: SealedPage) -> bytes:
    return orjson.dumps([page.path, page.query, page.target, page.expires_at, page.matches_to_skip])


def _encode_handle(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
