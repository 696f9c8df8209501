"""The manifest of a bulk export: which files there are (Bulk Data Access 2.0, response to a complete export)."""

import re
from collections.abc import Sequence

import msgspec

from gateway.fhir.resources.resource import MalformedResourceError, check_utf8


class ManifestFile(msgspec.Struct, gc=False, omit_defaults=True):
    """One file. `count` is the number of its resources, None where it is not stated."""

    type: str
    url: str
    count: int | None = None


class ManifestLink(msgspec.Struct, gc=False):
    """A link to a further part of the manifest."""

    relation: str
    url: str


class Manifest(msgspec.Struct, gc=False):
    """The members of the FHIR server's manifest that matter here. Its other members are not passed on."""

    transactionTime: str  # noqa: N815 - the specification's own name
    output: list[ManifestFile]
    deleted: list[ManifestFile] = []
    error: list[ManifestFile] = []
    link: list[ManifestLink] = []


class _PublicManifest(msgspec.Struct, gc=False, omit_defaults=True):
    transactionTime: str  # noqa: N815
    request: str
    requiresAccessToken: bool  # noqa: N815
    output: list[ManifestFile]
    error: list[ManifestFile]
    deleted: list[ManifestFile] = []


_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_DECODER = msgspec.json.Decoder(Manifest)
_ENCODER = msgspec.json.Encoder()


def read_manifest(body: bytes) -> Manifest:
    """Read the FHIR server's manifest.

    Raises `MalformedResourceError`, also if it has a further part, which was not asked for: no list is cut short.
    """
    check_utf8(body)
    try:
        manifest = _DECODER.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedResourceError("not a manifest") from error
    if not _INSTANT.fullmatch(manifest.transactionTime) or any(link.relation == "next" for link in manifest.link):
        raise MalformedResourceError("not a complete manifest")
    return manifest


def write_manifest(
    manifest: Manifest,
    *,
    request: str,
    output: Sequence[ManifestFile],
    deleted: Sequence[ManifestFile],
    error: Sequence[ManifestFile],
) -> bytes:
    """The manifest for the client, with the URLs of this gateway, which all need an access token."""
    return _ENCODER.encode(
        _PublicManifest(manifest.transactionTime, request, True, list(output), list(error), list(deleted))
    )
