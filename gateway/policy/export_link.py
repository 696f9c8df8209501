"""Sealed links to the job and the files of a bulk export, which work only with the grant that they were made for.

Whoever has the FHIR server's own links can read the files (leak_21). As with paging links, what a link leads to is
encrypted, authenticated, bound to client, user, patient and scopes, and expires.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from gateway.policy.grant_digest import grant_digest
from gateway.policy.permission.access import Access

# In characters. A query may have so many bytes.
MAX_HANDLE = 16_000
_JOB, _FILE = b"job", b"file"


class FileKind(StrEnum):
    """What a file of an export holds: resources, deletions, or messages of the FHIR server or of this gateway."""

    OUTPUT = "output"
    DELETED = "deleted"
    ERROR = "error"
    OMISSIONS = "omissions"


@dataclass(frozen=True, slots=True)
class SealedJob:
    """The content of a link to a job: the client's kick-off (`path`, `query`), and the job's target on the FHIR server.

    `target` is a path with a query, from the root of the server. `expires_at` is in seconds since the epoch.
    """

    path: str
    query: str
    target: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class SealedFile:
    """The content of a link to a file: its kind, the type of its resources, and where it is.

    `base` is the one of `bulk_export.file_bases` where it is, and empty for the FHIR server itself. `target` is a path
    with a query from the root of that server. `omissions` are what the gateway left out of the export, in a file of its
    own making.
    """

    kind: FileKind
    resource_type: str
    base: str
    target: str
    expires_at: int
    omissions: tuple[str, ...] = ()


class ExportSealer:
    """Seals and opens the links with a secret key."""

    def __init__(self, key: bytes) -> None:
        """`key` is any secret of at least 32 bytes; a key of the right size is derived from it."""
        self._cipher = AESSIV(hashlib.sha512(b"smart-fhir-gateway export\x00" + key).digest())

    def seal_job(self, job: SealedJob, access: Access) -> str:
        """A URL-safe handle for the job that only a token with the same grant can open."""
        return self._seal([job.path, job.query, job.target, job.expires_at], access, _JOB)

    def seal_file(self, file: SealedFile, access: Access) -> str:
        """A URL-safe handle for the file that only a token with the same grant can open."""
        content = [file.kind, file.resource_type, file.base, file.target, file.expires_at, file.omissions]
        return self._seal(content, access, _FILE)

    def open_job(self, handle: str, access: Access, now: float) -> SealedJob | None:
        """The job; None if the handle is invalid, altered, expired or of another grant. `now` is in epoch seconds."""
        try:
            job = SealedJob(*self._open(handle, access, _JOB))
        except (binascii.Error, InvalidTag, TypeError, ValueError):
            return None
        return job if now < job.expires_at else None

    def open_file(self, handle: str, access: Access, now: float) -> SealedFile | None:
        """The file; None as in `open_job`."""
        try:
            kind, resource_type, base, target, expires_at, omissions = self._open(handle, access, _FILE)
            file = SealedFile(FileKind(kind), resource_type, base, target, expires_at, tuple(omissions))
        except (binascii.Error, InvalidTag, TypeError, ValueError):
            return None
        return file if now < file.expires_at else None

    def _seal(self, content: list[Any], access: Access, purpose: bytes) -> str:
        sealed = self._cipher.encrypt(orjson.dumps(content), [grant_digest(access), purpose])
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def _open(self, handle: str, access: Access, purpose: bytes) -> list[Any]:
        if len(handle) > MAX_HANDLE:
            raise ValueError("longer than any handle")
        sealed = base64.b64decode(handle + "=" * (-len(handle) % 4), altchars=b"-_", validate=True)
        if base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() != handle:
            # Base64 has several texts for the same bytes. Only the one that was issued is accepted (leak_07).
            raise ValueError("not the text that was issued")
        content: list[Any] = orjson.loads(self._cipher.decrypt(sealed, [grant_digest(access), purpose]))
        return content
