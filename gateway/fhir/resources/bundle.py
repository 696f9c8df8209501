"""Reading a Bundle into entries whose resources are opened one level deep, and writing the entries that are kept."""

from collections.abc import Sequence

import msgspec

from gateway.fhir.resources.resource import (
    MalformedResourceError,
    Members,
    check_nesting,
    may_hold_resources,
    open_resource,
)

_ABSENT = msgspec.Raw()


class BundleLink(msgspec.Struct, gc=False):
    """One `Bundle.link`."""

    relation: str
    url: str


class EntrySearch(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """`entry.search`. The score is not sent on."""

    mode: str | None = None
    score: msgspec.Raw = _ABSENT


class EntryRequest(msgspec.Struct, gc=False, omit_defaults=True):
    """`entry.request` of a history: the request that created the version."""

    method: str = ""
    url: str = ""


class EntryResponse(msgspec.Struct, gc=False, omit_defaults=True):
    """`entry.response` of a history."""

    status: str | None = None
    etag: str | None = None
    lastModified: str | None = None  # noqa: N815 - FHIR's own name


class BundleEntry(msgspec.Struct, gc=False, omit_defaults=True):
    """One `Bundle.entry`. Other members (extensions, links) are not sent on."""

    fullUrl: str | None = None  # noqa: N815 - FHIR's own name
    resource: Members | None = None
    search: EntrySearch | None = None
    request: EntryRequest | None = None
    response: EntryResponse | None = None


class Bundle(msgspec.Struct, gc=False, omit_defaults=True):
    """A Bundle with opened resources. `total` may only be sent on if the search was narrowed exactly."""

    resourceType: str  # noqa: N815 - FHIR's own name
    type: str
    total: int | None = None
    link: list[BundleLink] = []
    entry: list[BundleEntry] = []


class _BundleText(msgspec.Struct, gc=False, omit_defaults=True):
    """A Bundle as it is compared with its own text. What is not sent on, and links with escapes, stay as they are."""

    resourceType: str  # noqa: N815 - FHIR's own name
    type: str
    id: msgspec.Raw = _ABSENT
    meta: msgspec.Raw = _ABSENT
    identifier: msgspec.Raw = _ABSENT
    timestamp: msgspec.Raw = _ABSENT
    total: int | None = None
    link: msgspec.Raw = _ABSENT
    entry: list[BundleEntry] = []


class _RawEntry(msgspec.Struct, gc=False):
    resource: msgspec.Raw = _ABSENT


class _RawBundle(msgspec.Struct, gc=False):
    entry: list[_RawEntry] = []


class _BundleEnvelope(msgspec.Struct, gc=False):
    """A Bundle whose entries are not read yet."""

    resourceType: str  # noqa: N815 - FHIR's own name
    type: str
    total: int | None = None
    link: list[BundleLink] = []
    entry: list[msgspec.Raw] = []


_TEXT_DECODER = msgspec.json.Decoder(_BundleText)
_LINK_DECODER = msgspec.json.Decoder(list[BundleLink])
_ENVELOPE_DECODER = msgspec.json.Decoder(_BundleEnvelope)
_ENTRY_DECODER = msgspec.json.Decoder(BundleEntry)
_RAW_ENTRY_DECODER = msgspec.json.Decoder(_RawEntry)
_RAW_DECODER = msgspec.json.Decoder(_RawBundle)
_ENCODER = msgspec.json.Encoder()


def read_bundle(body: bytes) -> Bundle:
    """Read a Bundle and open its resources, in one pass. The text must have passed `check_utf8`.

    A resource with duplicate members, a resource nested where FHIR does not allow one, and a malformed entry are
    ambiguous: their `resource` is set to an empty dict. Raises `MalformedResourceError` if the body is not a Bundle.
    """
    try:
        try:
            read = _TEXT_DECODER.decode(body)
        except msgspec.ValidationError:
            bundle = _read_entries_separately(body)
        else:
            _check_entries(read, body)
            links = [] if read.link is _ABSENT else _LINK_DECODER.decode(read.link)
            bundle = Bundle(read.resourceType, read.type, total=read.total, link=links, entry=read.entry)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedResourceError("not a Bundle") from error
    if bundle.resourceType != "Bundle":
        raise MalformedResourceError("not a Bundle")
    return bundle


def _check_entries(bundle: _BundleText, body: bytes) -> None:
    if len(_ENCODER.encode(bundle)) != len(body):
        # Encoding removes duplicate members. The same length means that there were none. Otherwise white space, other
        # members or escapes can be the reason, so the resources are compared one by one.
        _reopen_changed_resources(bundle, body)
    typed_entries = [entry for entry in bundle.entry if entry.resource is not None and "resourceType" in entry.resource]
    if may_hold_resources(body, 1 + len(typed_entries)):
        for entry in typed_entries:
            try:
                check_nesting(entry.resource or {})
            except MalformedResourceError:
                entry.resource = {}


def _reopen_changed_resources(bundle: _BundleText, body: bytes) -> None:
    """Open those resources again, with all checks, that do not have the length of their own text."""
    for entry, raw in zip(bundle.entry, _RAW_DECODER.decode(body).entry, strict=True):
        members = entry.resource
        if members is not None and len(_ENCODER.encode(members)) != memoryview(raw.resource).nbytes:
            entry.resource = _open_or_empty(raw.resource)


def _open_or_empty(raw: msgspec.Raw) -> Members:
    try:
        return open_resource(raw)
    except MalformedResourceError:
        return {}


def _read_entries_separately(body: bytes) -> Bundle:
    """Read the entries one by one, so that a malformed entry does not affect the others."""
    envelope = _ENVELOPE_DECODER.decode(body)
    entries = [_read_entry(raw) for raw in envelope.entry]
    return Bundle(envelope.resourceType, envelope.type, total=envelope.total, link=envelope.link, entry=entries)


def _read_entry(raw: msgspec.Raw) -> BundleEntry:
    try:
        entry = _ENTRY_DECODER.decode(raw)
    except msgspec.ValidationError:
        return BundleEntry(resource={})
    if entry.resource is not None:
        entry.resource = _open_or_empty(_RAW_ENTRY_DECODER.decode(raw).resource)
    return entry


def write_bundle(
    kind: str, *, links: Sequence[tuple[str, str]], entries: list[BundleEntry], total: int | None = None
) -> bytes:
    """Write a Bundle in one pass. `kind` is `searchset` or `history`; `links` are pairs of relation and URL."""
    link = [BundleLink(relation, url) for relation, url in links]
    return _ENCODER.encode(Bundle("Bundle", kind, total=total, link=link, entry=entries))
