"""A Bundle opened one level into its resources, and written again from the entries that are kept."""

from collections.abc import Sequence

import msgspec

from gateway.fhir.resource import MalformedResourceError, Members, check_nesting, names_types, open_resource

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


_DECODER = msgspec.json.Decoder(Bundle)
_RAW_DECODER = msgspec.json.Decoder(_RawBundle)
_ENCODER = msgspec.json.Encoder()


def read_bundle(body: bytes) -> Bundle:
    """The Bundle with its resources opened, in one pass. The text must have passed `check_text`.

    A resource that has a member twice has no meaning, nor has one with another inside where FHIR has no place for it:
    their entries are left without a resource. Raises `MalformedResourceError` for anything that is not a Bundle of
    resources.
    """
    try:
        bundle = _DECODER.decode(body)
        if bundle.resourceType != "Bundle":
            raise MalformedResourceError("not a Bundle")
        if len(_ENCODER.encode(bundle)) != len(body):
            # Written again, a member that stood twice stands once. The same length means that nothing was lost; else
            # white space, an unusual envelope or escapes made the difference, or a member did: look closely.
            _drop_doubtful(bundle, body)
        typed = [one for one in bundle.entry if one.resource is not None and "resourceType" in one.resource]
        if names_types(body) > 1 + len(typed):
            _drop_carrying(typed)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedResourceError("not a Bundle") from error
    return bundle


def _drop_doubtful(bundle: Bundle, body: bytes) -> None:
    entries = _RAW_DECODER.decode(body).entry
    for entry, raw in zip(bundle.entry, entries, strict=True):
        if entry.resource is None or raw.resource is _ABSENT:
            entry.resource = None
            continue
        try:
            entry.resource = open_resource(raw.resource)
        except MalformedResourceError:
            entry.resource = None


def _drop_carrying(entries: list[Entry]) -> None:
    for entry in entries:
        try:
            check_nesting(entry.resource or {})
        except MalformedResourceError:
            entry.resource = None


def write_bundle(
    kind: str, *, links: Sequence[tuple[str, str]], entries: list[Entry], total: int | None = None
) -> bytes:
    """The answer's Bundle, in one pass. `kind` is `searchset` or `history`; `links` are our (relation, url) pairs."""
    link = [Link(relation, url) for relation, url in links]
    return _ENCODER.encode(Bundle("Bundle", kind, total=total, link=link, entry=entries))
