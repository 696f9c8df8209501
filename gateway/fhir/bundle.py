"""A Bundle split into its entries without looking into them, and put together again from those that are kept."""

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from gateway.fhir.resource import MalformedResourceError, Members, open_resource, write_resource

_ABSENT = msgspec.Raw()


class Link(msgspec.Struct, gc=False):
    """One `Bundle.link`."""

    relation: str
    url: str


class Search(msgspec.Struct, gc=False, omit_defaults=True):
    """`entry.search`."""

    mode: str | None = None
    score: float | None = None


class EntryRequest(msgspec.Struct, gc=False):
    """`entry.request` of a history: how this version came about. The URL is not kept: it is rebuilt."""

    method: str = ""


class EntryResponse(msgspec.Struct, gc=False, omit_defaults=True):
    """`entry.response` of a history."""

    status: str | None = None
    etag: str | None = None
    lastModified: str | None = None  # noqa: N815 - FHIR's own name


class Entry(msgspec.Struct, gc=False):
    """One `Bundle.entry` as it came; what is not named here (extensions, links) does not travel on."""

    resource: msgspec.Raw = _ABSENT
    fullUrl: str | None = None  # noqa: N815 - FHIR's own name
    search: Search | None = None
    request: EntryRequest | None = None
    response: EntryResponse | None = None


class Bundle(msgspec.Struct, gc=False):
    """The envelope of an upstream's answer. `total` is a count that only an exact narrowing makes safe to repeat."""

    resourceType: str  # noqa: N815 - FHIR's own name
    type: str
    total: int | None = None
    link: list[Link] = []
    entry: list[Entry] = []


_BUNDLE = msgspec.json.Decoder(Bundle)
_ENCODER = msgspec.json.Encoder()


def split_bundle(body: bytes) -> Bundle:
    """The envelope and its entries. The text must have passed `check_text`.

    Raises `MalformedResourceError` for anything that is not a Bundle.
    """
    try:
        bundle = _BUNDLE.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedResourceError("not a Bundle") from error
    if bundle.resourceType != "Bundle":
        raise MalformedResourceError("not a Bundle")
    return bundle


def open_entry(entry: Entry) -> Members | None:
    """The members of the entry's resource, or None where it has none."""
    return None if entry.resource is _ABSENT else open_resource(entry.resource)


class KeptEntry(msgspec.Struct, frozen=True, gc=False):
    """An entry that passed the judge. `request_url` is relative and set in a history only.

    `full_url` is None for an outcome of our own, which has no address.
    """

    full_url: str | None
    members: Members | None
    search_mode: str | None = None
    request_method: str | None = None
    request_url: str | None = None
    response: EntryResponse | None = None


def write_bundle(
    kind: str, *, links: Sequence[tuple[str, str]], entries: Sequence[KeptEntry], total: int | None = None
) -> bytes:
    """The answer's Bundle. `kind` is `searchset` or `history`; `links` are (relation, url) pairs of ours."""
    head: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    if total is not None:
        head["total"] = total
    head["link"] = [{"relation": relation, "url": url} for relation, url in links]
    parts = [orjson.dumps(head)[:-1]]
    if entries:
        parts.append(b',"entry":[')
        parts.append(b",".join([_write_entry(entry) for entry in entries]))
        parts.append(b"]")
    parts.append(b"}")
    return b"".join(parts)


def _write_entry(entry: KeptEntry) -> bytes:
    parts = []
    if entry.full_url is not None:
        parts.append(b'"fullUrl":' + _ENCODER.encode(entry.full_url))
    if entry.members is not None:
        parts.append(b'"resource":' + write_resource(entry.members))
    if entry.search_mode is not None:
        parts.append(b'"search":{"mode":"' + entry.search_mode.encode() + b'"}')
    if entry.request_method is not None:
        parts.append(b'"request":' + orjson.dumps({"method": entry.request_method, "url": entry.request_url}))
    if entry.response is not None:
        parts.append(b'"response":' + _ENCODER.encode(entry.response))
    return b"{" + b",".join(parts) + b"}"
