"""A Bundle opened one level into its resources, and written again from the entries that are kept."""

from collections.abc import Sequence

import msgspec

from gateway.fhir.resource import MalformedResourceError, Members


class Link(msgspec.Struct, gc=False):
    """One `Bundle.link`."""

    relation: str
    url: str


class Search(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """`entry.search`; a score does not travel on."""

    mode: str | None = None


class EntryRequest(msgspec.Struct, gc=False):
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
    """The envelope. `total` is a count that only an exact narrowing makes safe to repeat."""

    resourceType: str  # noqa: N815 - FHIR's own name
    type: str
    total: int | None = None
    link: list[Link] = []
    entry: list[Entry] = []


_DECODER = msgspec.json.Decoder(Bundle)
_ENCODER = msgspec.json.Encoder()


def read_bundle(body: bytes) -> Bundle:
    """The Bundle with its resources opened, in one pass. The text must have passed `check_text`.

    Raises `MalformedResourceError` for anything that is not a Bundle of resources.
    """
    try:
        bundle = _DECODER.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedResourceError("not a Bundle") from error
    if bundle.resourceType != "Bundle":
        raise MalformedResourceError("not a Bundle")
    return bundle


def write_bundle(
    kind: str, *, links: Sequence[tuple[str, str]], entries: list[Entry], total: int | None = None
) -> bytes:
    """The answer's Bundle, in one pass. `kind` is `searchset` or `history`; `links` are our (relation, url) pairs."""
    link = [Link(relation, url) for relation, url in links]
    return _ENCODER.encode(Bundle("Bundle", kind, total, link, entries))
