"""A Bundle opened one level into its resources, and written again from the entries that are kept."""

from collections.abc import Sequence

import msgspec

from gateway.fhir.resource import MalformedResourceError, Members, check_nesting, may_nest, open_resource

_ABSENT = msgspec.Raw()


class Link(msgspec.Struct, gc=False):
    """One `Bundle.link`."""

    relation: str
    url: str


class Search(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """`entry.search`; a score does not travel on."""

    mode: str | None = None
    score: msgspec.Raw = _ABSENT


class EntryRequest(msgspec.Struct, gc=False, omit_defaults=True):
    """`entry.request` of a history: how this version came about."""

    method: str = ""
    url: str = ""


class EntryResponse(msgspec.Struct, gc=False, omit_defaults=True):
    """`entry.response` of a history."""

    status: str | None = None
    etag: str | None = None
    lastModified: str | None = None  # noqa: N815 - FHIR's own name


class Entry(msgspec.Struct, gc=False, omit_defaults=True):
    """One `Bundle.entry`. What is not named here (extensions, links) does not travel on."""

    fullUrl: str | None = None  # noqa: N815 - FHIR's own name
    resource: Members | None = None
    search: Search | None = None
    request: EntryRequest | None = None
    response: EntryResponse | None = None


class Bundle(msgspec.Struct, gc=False, omit_defaults=True):
    """The envelope. `total` is a count that only an exact narrowing makes safe to repeat.

    The other members are here so that a Bundle can be compared with its own text; they do not travel on.
    """

    resourceType: str  # noqa: N815 - FHIR's own name
    type: str
    id: msgspec.Raw = _ABSENT
    meta: msgspec.Raw = _ABSENT
    identifier: msgspec.Raw = _ABSENT
    timestamp: msgspec.Raw = _ABSENT
    total: int | None = None
    link: list[Link] = []
    entry: list[Entry] = []


class _RawEntry(msgspec.Struct, gc=False):
    resource: msgspec.Raw = _ABSENT


class _RawBundle(msgspec.Struct, gc=False):
    entry: list[_RawEntry] = []


class _Envelope(msgspec.Struct, gc=False):
    """A Bundle whose entries are still to be read."""

    resourceType: str  # noqa: N815 - FHIR's own name
    type: str
    total: int | None = None
    link: list[Link] = []
    entry: list[msgspec.Raw] = []


_DECODER = msgspec.json.Decoder(Bundle)
_ENVELOPE_DECODER = msgspec.json.Decoder(_Envelope)
_ENTRY_DECODER = msgspec.json.Decoder(Entry)
_RAW_ENTRY_DECODER = msgspec.json.Decoder(_RawEntry)
_RAW_DECODER = msgspec.json.Decoder(_RawBundle)
_ENCODER = msgspec.json.Encoder()


def read_bundle(body: bytes) -> Bundle:
    """The Bundle with its resources opened, in one pass. The text must have passed `check_text`.

    A resource that has a member twice has no meaning, nor has one with another inside where FHIR has no place for it,
    nor an entry of another form: they are left without a member. Raises `MalformedResourceError` for anything that is
    not a Bundle.
    """
    try:
        try:
            bundle = _DECODER.decode(body)
        except msgspec.ValidationError:
            bundle = _entry_by_entry(body)
        else:
            _check(bundle, body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedResourceError("not a Bundle") from error
    if bundle.resourceType != "Bundle":
        raise MalformedResourceError("not a Bundle")
    return bundle


def _check(bundle: Bundle, body: bytes) -> None:
    if len(_ENCODER.encode(bundle)) != len(body):
        # Written again, a member that stood twice stands once. The same length means that nothing was lost; else
        # white space, an unusual envelope or escapes made the difference, or a member did: look closely.
        _empty_doubtful(bundle, body)
    typed = [one for one in bundle.entry if one.resource is not None and "resourceType" in one.resource]
    if may_nest(body, 1 + len(typed)):
        for entry in typed:
            try:
                check_nesting(entry.resource or {})
            except MalformedResourceError:
                entry.resource = {}


def _empty_doubtful(bundle: Bundle, body: bytes) -> None:
    for entry, raw in zip(bundle.entry, _RAW_DECODER.decode(body).entry, strict=True):
        if entry.resource is not None:
            entry.resource = _opened(raw.resource)


def _opened(raw: msgspec.Raw) -> Members:
    try:
        return open_resource(raw)
    except MalformedResourceError:
        return {}


def _entry_by_entry(body: bytes) -> Bundle:
    """The Bundle where one entry does not have the form of one, which is not to take the others along."""
    envelope = _ENVELOPE_DECODER.decode(body)
    entries = [_read_entry(raw) for raw in envelope.entry]
    return Bundle(envelope.resourceType, envelope.type, total=envelope.total, link=envelope.link, entry=entries)


def _read_entry(raw: msgspec.Raw) -> Entry:
    try:
        entry = _ENTRY_DECODER.decode(raw)
    except msgspec.ValidationError:
        return Entry(resource={})
    if entry.resource is not None:
        entry.resource = _opened(_RAW_ENTRY_DECODER.decode(raw).resource)
    return entry


def write_bundle(
    kind: str, *, links: Sequence[tuple[str, str]], entries: list[Entry], total: int | None = None
) -> bytes:
    """The answer's Bundle, in one pass. `kind` is `searchset` or `history`; `links` are our (relation, url) pairs."""
    link = [Link(relation, url) for relation, url in links]
    return _ENCODER.encode(Bundle("Bundle", kind, total=total, link=link, entry=entries))
