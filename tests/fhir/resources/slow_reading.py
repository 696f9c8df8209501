"""A page read the plain way: nothing is skipped because of how its text looks. The quick reading must agree with it."""

import json
from typing import Any

import msgspec

Members = dict[str, str]


class _Ambiguous(Exception):
    """Readers may read the resource differently, or it holds one where FHIR allows none."""


class _Object(list[tuple[str, Any]]):
    """The members of a JSON object, with those that stand twice."""


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()


class _Bundle(msgspec.Struct):
    entry: list[msgspec.Raw] = []


def read_slowly(body: bytes) -> list[Members | None]:
    """For each entry the members of its resource, as text without white space.

    None stands for an entry without a resource, and an empty dict for one that is ambiguous or malformed. Raises
    `msgspec.MsgspecError` and `RecursionError`.
    """
    return [_read_entry(entry) for entry in msgspec.json.decode(body, type=_Bundle).entry]


def compact_members(members: dict[str, msgspec.Raw]) -> Members:
    """The members as text without white space."""
    return {name: msgspec.json.format(bytes(raw), indent=-1).decode() for name, raw in members.items()}


def _read_entry(entry: msgspec.Raw) -> Members | None:
    try:
        text = bytes(msgspec.json.decode(entry, type=_Entry).resource)
        return None if text in {b"", b"null"} else _read_members(text)
    except (_Ambiguous, msgspec.ValidationError):
        return {}


def _read_members(text: bytes) -> Members:
    pairs = json.loads(text, object_pairs_hook=_Object)
    if not isinstance(pairs, _Object) or len(dict(pairs)) != len(pairs):
        raise _Ambiguous
    members = compact_members(msgspec.json.decode(text, type=dict[str, msgspec.Raw]))
    if members.get("resourceType") not in {'"Bundle"', '"Parameters"'}:
        for name, value in pairs:
            if name != "contained" and _holds_resource(value):
                raise _Ambiguous
    return members


def _holds_resource(value: Any) -> bool:
    if isinstance(value, _Object):
        return any(name == "resourceType" or _holds_resource(member) for name, member in value)
    return isinstance(value, list) and any(map(_holds_resource, value))
