"""A resource opened one level deep: its members as raw slices, decoded only where a check looks.

What leaves is written again from the very members that were judged; the bytes of their values leave as they came
(performance.md rules 6 and 11). An object that has a member twice is refused, also where escapes hide it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import orjson

from gateway.scopes.resource_types import RESOURCE_TYPES

Members = dict[str, msgspec.Raw]

_MEMBERS = msgspec.json.Decoder(Members)
_ENCODER = msgspec.json.Encoder()


class MalformedResourceError(Exception):
    """The bytes are not one JSON object that can have only one meaning."""


def check_text(body: bytes) -> None:
    """Refuse bytes that are not UTF-8; a decoder that skips a value would not look.

    Raises `MalformedResourceError`. Source: RFC 8259 8.1.
    """
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise MalformedResourceError("not UTF-8") from error


def read_resource(body: bytes | msgspec.Raw) -> tuple[Members, bytes]:
    """The members of one resource, and the text that says them. `body` must have passed `check_text`.

    The text is written from the members, so that it holds nothing that was not read. Raises `MalformedResourceError`
    for anything that is not a JSON object nested to a sane depth, and for an object that has a member twice, however
    it is written: what our decoder and the client's could read differently has no meaning (performance.md rule 11).
    So has a resource inside of it where FHIR has no place for one.
    """
    try:
        members = _MEMBERS.decode(body)
        text = _ENCODER.encode(members)
        # Written again, a member that stood twice stands once; the same length means that none did. White space also
        # makes a difference, so it goes first; escapes in names do, and leave it to the exact decoder.
        if len(text) != memoryview(body).nbytes:
            compact = msgspec.json.format(bytes(body), indent=-1)
            if len(_ENCODER.encode(_MEMBERS.decode(compact))) != len(compact):
                json.loads(compact, object_pairs_hook=_without_duplicates)
        if may_nest(body, 1):
            check_nesting(members)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MalformedResourceError("not one JSON object with each member once") from error
    return members, text


def open_resource(body: bytes | msgspec.Raw) -> Members:
    """The members alone. Raises `MalformedResourceError`."""
    return read_resource(body)[0]


_TYPE_NAME = b'"resourceType"'
# An escaped letter, by which a name may be spelled so that it is not found as text.
_ESCAPED = b"\\u00"
# They have resources in members of their own (R4 bundle.html, parameters.html), of which the policy judges each.
_CARRIERS = frozenset({b'"Bundle"', b'"Parameters"'})
# One type has an element of the name (R4 examplescenario.html), which says of what type an example is.
_EXAMPLES, _EXAMPLE_WORDS = b'"ExampleScenario"', frozenset({"resourceId", "resourceType", "name", "description"})


def may_nest(body: bytes | msgspec.Raw, resources: int) -> bool:
    """Whether the text may hold more resources than these; a look at the bytes alone, wrong on the safe side."""
    text = bytes(body)
    return text.count(_TYPE_NAME) > resources or (b"\\" in text and _ESCAPED in text)


def check_nesting(members: Members) -> None:
    """Raises `MalformedResourceError` for a resource that stands in a member where FHIR has none.

    `contained` may hold resources (R4 references.html 2.3.0.4) and is the policy's to judge. A server that puts a
    resource beside the reference to it, say, would show what nobody has judged.
    """
    resource_type = bytes(members.get("resourceType", b""))
    if resource_type in _CARRIERS:
        return
    for name, raw in members.items():
        if name == "contained" or not may_nest(raw, 0):
            continue
        nested = list(nested_resources([decode_member(raw)]))
        examples = resource_type == _EXAMPLES and name == "instance" and all(_is_example(one) for one in nested)
        if nested and not examples:
            raise MalformedResourceError("a resource where FHIR has none")


def _is_example(value: Mapping[str, Any]) -> bool:
    """Whether it says no more than R4's `ExampleScenario.instance` says in words."""
    return all(name in _EXAMPLE_WORDS and isinstance(one, str) for name, one in value.items())


_TYPE_BY_TEXT = {f'"{name}"'.encode(): name for name in RESOURCE_TYPES}
_ID_TEXT = re.compile(rb'"([A-Za-z0-9\-.]{1,64})"')


def address_in(members: Mapping[str, msgspec.Raw]) -> tuple[str, str] | None:
    """(type, id) as the members say; None where that is not one R4 type and one id, plainly written."""
    said = members.get("resourceType")
    resource_type = None if said is None else _TYPE_BY_TEXT.get(bytes(said))
    resource_id = id_in(members)
    return None if resource_type is None or resource_id is None else (resource_type, resource_id)


def id_in(members: Mapping[str, msgspec.Raw]) -> str | None:
    """The id as the members say; None where that is not one R4 id, plainly written."""
    said = members.get("id")
    match = None if said is None else _ID_TEXT.fullmatch(said)
    return None if match is None else match[1].decode("ascii")


def is_outcome(members: Mapping[str, msgspec.Raw]) -> bool:
    """Whether the members say they are an OperationOutcome, which in a Bundle has no id."""
    resource_type = members.get("resourceType")
    return resource_type is not None and bytes(resource_type) == b'"OperationOutcome"'


def pick(members: Mapping[str, msgspec.Raw], names: Iterable[str]) -> dict[str, Any]:
    """The named members, decoded. Raises `MalformedResourceError` where one has duplicate members inside."""
    return {name: decode_member(members[name]) for name in names if name in members}


def decode_member(raw: msgspec.Raw) -> Any:
    """One value, decoded, provided that it has one meaning only.

    Writing it again must give the same bytes; where white space, escapes or number forms differ, the slow and exact
    decoder looks for duplicates. Raises `MalformedResourceError`.
    """
    text = bytes(raw)
    try:
        value = orjson.loads(text)
        if orjson.dumps(value) != text:
            json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, TypeError, RecursionError) as error:
        # orjson says that a value is nested too deeply by a TypeError.
        raise MalformedResourceError("a member has duplicate members or is not JSON") from error
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def nested_resources(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object below `value` that says it is a resource, `value` itself left out.

    Found by its `resourceType`, wherever it hides: `contained`, a Bundle's entries, a Parameters' parts.
    """
    pending = list(_children(value))
    while pending:
        child = pending.pop()
        if isinstance(child, dict) and "resourceType" in child:
            yield child
        pending.extend(_children(child))


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
