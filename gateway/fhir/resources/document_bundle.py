"""A Bundle that is shown as a whole, such as a document, with the public addresses of its entries."""

import re
from typing import Any

import msgspec

from gateway.fhir.resources.resource import MalformedResourceError, Members, decode_member, read_type_and_id

# Not its links, which are the server's own addresses, and nothing that R4 does not know.
_MEMBERS = ("resourceType", "id", "meta", "identifier", "type", "timestamp", "entry", "signature")
_TYPES = frozenset({"document", "message", "searchset", "collection", "history", "batch-response"})
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_UUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_URN = re.compile(rf"urn:uuid:{_UUID}|urn:oid:[0-9.]{{1,200}}")
_IDENTIFIER = re.compile(rf"{_URN.pattern}|{_UUID}")
_URI_SYSTEM = "urn:ietf:rfc:3986"
_ENTRIES = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_RESOURCE = msgspec.json.Decoder(Members)
_TEXT = msgspec.json.Decoder(str)
_ENCODER = msgspec.json.Encoder()


def write_whole_bundle(
    members: Members, *, upstream_base: str, public_base: str, is_envelope_permitted: bool = False
) -> bytes:
    """The Bundle with its own members, and of each entry the resource and its address.

    What is judged are the entries. So the Bundle's own members are those that can hold no text, unless
    `is_envelope_permitted`. Raises `MalformedResourceError`.
    """
    kept = {name: members[name] for name in _MEMBERS if name in members}
    if not is_envelope_permitted:
        kept = _bound_envelope(kept)
    try:
        if "entry" in kept:
            entries = [_public_entry(entry, upstream_base, public_base) for entry in _ENTRIES.decode(kept["entry"])]
            kept["entry"] = msgspec.Raw(_ENCODER.encode(entries))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedResourceError("not a Bundle") from error
    return _ENCODER.encode(kept)


def _bound_envelope(members: Members) -> Members:
    values = {name: decode_member(raw) for name, raw in members.items() if name != "entry"}
    kept: dict[str, Any] = {"resourceType": "Bundle"}
    if values.get("type") not in tuple(_TYPES):
        raise MalformedResourceError("a Bundle of no type")
    kept["type"] = values["type"]
    identifier, timestamp = values.get("identifier"), values.get("timestamp")
    value = identifier.get("value") if isinstance(identifier, dict) else None
    if isinstance(value, str) and _IDENTIFIER.fullmatch(value):
        kept["identifier"] = {"system": _URI_SYSTEM, "value": value}
    if isinstance(timestamp, str) and _INSTANT.fullmatch(timestamp):
        kept["timestamp"] = timestamp
    bounded = {name: msgspec.Raw(_ENCODER.encode(value)) for name, value in kept.items()}
    return {**bounded, **({"entry": members["entry"]} if "entry" in members else {})}


def _public_entry(entry: Members, upstream_base: str, public_base: str) -> Members:
    """The resource with its address: a URN, or the one that its type and id make."""
    if "resource" not in entry:
        return {}
    kept = {"resource": entry["resource"]}
    full_url = _TEXT.decode(entry["fullUrl"]) if "fullUrl" in entry else ""
    type_and_id = read_type_and_id(_RESOURCE.decode(entry["resource"]))
    if type_and_id is not None and full_url == f"{upstream_base}/{type_and_id[0]}/{type_and_id[1]}":
        full_url = public_base + full_url.removeprefix(upstream_base)
    elif _URN.fullmatch(full_url) is None:
        return kept
    return {"fullUrl": msgspec.Raw(_ENCODER.encode(full_url)), **kept}
