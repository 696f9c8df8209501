"""A resource opened one level deep: its members as raw JSON, decoded only where a check needs them.

The response is encoded from the same members that were judged; the bytes of their values do not change (performance.md
rules 6 and 11). An object with duplicate members is refused, even if escapes hide the duplicate.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import orjson

from gateway.scopes.resource_types import RESOURCE_TYPES

Members = dict[str, msgspec.Raw]

_WHITE_SPACE = b" \t\n\r"
_COMPACT_BEGIN = re.compile(rb'\{"[^"\\]*":[^ \t\n\r]')
_MEMBERS = msgspec.json.Decoder(Members)
_ENCODER = msgspec.json.Encoder()


class MalformedResourceError(Exception):
    """The bytes are not one JSON object with exactly one meaning."""


def check_utf8(body: bytes) -> None:
    """Refuse bytes that are not UTF-8 (RFC 8259 8.1), which the decoder does not check in values that it skips.

    Raises `MalformedResourceError`.
    """
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise MalformedResourceError("not UTF-8") from error


def remove_white_space(body: bytes) -> bytes:
    """The text without white space between its tokens, if it begins with some; strings and numbers keep their text.

    A text with white space is longer than its own encoding, so that every comparison with it takes the slow way. Only
    the begin of the text is looked at. Raises `MalformedResourceError`, but not for everything that is no JSON.
    """
    if _COMPACT_BEGIN.match(body) is not None:
        return body.rstrip(_WHITE_SPACE)
    try:
        return msgspec.json.format(body, indent=-1)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedResourceError("not JSON") from error


def read_resource(body: bytes | msgspec.Raw) -> tuple[Members, bytes]:
    """Read the members of one resource, and encode them again. `body` must have passed `check_utf8`.

    The returned text is encoded from the members, so it holds nothing that was not read. Raises
    `MalformedResourceError` if the body is not a JSON object, is nested too deeply, has duplicate members, which
    decoders may read differently (performance.md rule 11), or holds a resource where FHIR does not allow one.
    """
    try:
        members = _MEMBERS.decode(body)
        text = _ENCODER.encode(members)
        # Encoding removes duplicate members, so the same length means that there were none. Otherwise the comparison is
        # repeated without white space. Escapes in names can still make a difference; the exact decoder decides then.
        if len(text) != memoryview(body).nbytes:
            compact = msgspec.json.format(bytes(body), indent=-1)
            if len(_ENCODER.encode(_MEMBERS.decode(compact))) != len(compact):
                json.loads(compact, object_pairs_hook=_reject_duplicates)
        if may_hold_resources(text, 1):
            check_nesting(members)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MalformedResourceError("not one JSON object with each member once") from error
    return members, text


def open_resource(body: bytes | msgspec.Raw) -> Members:
    """The members of one resource, as in `read_resource`. Raises `MalformedResourceError`."""
    return read_resource(body)[0]


_TYPE_NAME = b'"resourceType"'
# An escape of a letter of `resourceType`, which can hide the name from a search in the bytes. Encoders escape much else
# (quotation marks, `<`, `&`, all that is not ASCII), but no letters of ASCII.
_ESCAPED_LETTER = re.compile(rb"\\u00(?:54|6[35fF]|7[02359])")
# These types hold resources in their members (R4 bundle.html, parameters.html). The policy judges each of them.
_RESOURCE_CONTAINERS = frozenset({b'"Bundle"', b'"Parameters"'})
# `ExampleScenario.instance.resourceType` is an element of the type itself (R4 examplescenario.html).
_EXAMPLE_SCENARIO = b'"ExampleScenario"'
_EXAMPLE_MEMBERS = frozenset({"resourceId", "resourceType", "name", "description"})


def may_hold_resources(body: bytes | msgspec.Raw, resources: int) -> bool:
    """Whether the text may hold more than `resources` resources. It searches the bytes and errs on the safe side."""
    text = bytes(body)
    return text.count(_TYPE_NAME) > resources or (b"\\" in text and _ESCAPED_LETTER.search(text) is not None)


def check_nesting(members: Members) -> None:
    """Raise `MalformedResourceError` for a resource nested where FHIR does not allow one.

    `contained` may hold resources (R4 references.html 2.3.0.4), which the policy judges. Anywhere else, for example
    beside a reference, a nested resource would not be judged.
    """
    resource_type = bytes(members.get("resourceType", b""))
    if resource_type in _RESOURCE_CONTAINERS:
        return
    others = {name: raw for name, raw in members.items() if name != "contained"}
    if not may_hold_resources(b",".join(others.values()), 0):
        return
    for name, raw in others.items():
        if not may_hold_resources(raw, 0):
            continue
        nested = list(iter_nested_resources([decode_member(raw)]))
        is_example = resource_type == _EXAMPLE_SCENARIO and name == "instance" and all(map(_is_example, nested))
        if nested and not is_example:
            raise MalformedResourceError("a nested resource where FHIR does not allow one")


def _is_example(value: Mapping[str, Any]) -> bool:
    """Whether the object has only the text members of `ExampleScenario.instance`."""
    return all(name in _EXAMPLE_MEMBERS and isinstance(member, str) for name, member in value.items())


_TYPE_BY_TEXT = {f'"{name}"'.encode(): name for name in RESOURCE_TYPES}
_ID_TEXT = re.compile(rb'"([A-Za-z0-9\-.]{1,64})"')


def read_type_and_id(members: Mapping[str, msgspec.Raw]) -> tuple[str, str] | None:
    """The type and the id. None if they are not an R4 type and a valid id, both without escapes."""
    raw_type = members.get("resourceType")
    resource_type = None if raw_type is None else _TYPE_BY_TEXT.get(bytes(raw_type))
    resource_id = read_id(members)
    return None if resource_type is None or resource_id is None else (resource_type, resource_id)


def is_resource(members: Mapping[str, msgspec.Raw], resource_type: str, resource_id: str) -> bool:
    """Whether the resource states this type and this id, both without escapes. The id must be a valid one."""
    raw_type, raw_id = members.get("resourceType"), members.get("id")
    if raw_type is None or raw_id is None:
        return False
    return _TYPE_BY_TEXT.get(bytes(raw_type)) == resource_type and bytes(raw_id) == b'"%b"' % resource_id.encode()


def read_type(members: Mapping[str, msgspec.Raw]) -> str | None:
    """The type. None if it is not an R4 type without escapes."""
    raw_type = members.get("resourceType")
    return None if raw_type is None else _TYPE_BY_TEXT.get(bytes(raw_type))


def read_id(members: Mapping[str, msgspec.Raw]) -> str | None:
    """The id. None if it is not a valid R4 id without escapes."""
    raw_id = members.get("id")
    match = None if raw_id is None else _ID_TEXT.fullmatch(raw_id)
    return None if match is None else match[1].decode("ascii")


def is_operation_outcome(members: Mapping[str, msgspec.Raw]) -> bool:
    """Whether the resource is an OperationOutcome, which has no id in a Bundle."""
    resource_type = members.get("resourceType")
    return resource_type is not None and bytes(resource_type) == b'"OperationOutcome"'


def decode_members(members: Mapping[str, msgspec.Raw], names: Iterable[str]) -> dict[str, Any]:
    """Decode the named members. Raises `MalformedResourceError` if one is ambiguous."""
    return {name: decode_member(members[name]) for name in names if name in members}


def decode_member(raw: msgspec.Raw) -> Any:
    """Decode one value. Raises `MalformedResourceError` if it has duplicate members.

    Encoding it again must give the same bytes. If white space, escapes or number formats differ, the slower exact
    decoder searches for duplicates.
    """
    text = bytes(raw)
    try:
        value = orjson.loads(text)
        if orjson.dumps(value) != text:
            json.loads(text, object_pairs_hook=_reject_duplicates)
    except (ValueError, TypeError, RecursionError) as error:
        # orjson raises TypeError for a value that is nested too deeply.
        raise MalformedResourceError("a member has duplicate members or is not JSON") from error
    return value


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def iter_nested_resources(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object below `value` with a `resourceType`, at any depth, without `value` itself.

    For example resources in `contained`, in the entries of a Bundle or in the parts of Parameters.
    """
    pending = list(_get_children(value))
    while pending:
        child = pending.pop()
        if isinstance(child, dict) and "resourceType" in child:
            yield child
        pending.extend(_get_children(child))


def _get_children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
