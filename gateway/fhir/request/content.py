"""The content of a write: a resource or a JSON Patch, parsed so that every reader sees the same in it.

What leaves for the FHIR server is encoded from the parsed form. Decimals keep their digits, because FHIR counts them
(R4 datatypes.html, decimal). A body that is its own encoding, but for white space, has no other reading, so that it is
decoded once and its numbers are floats; the numbers of any other one are `Decimal`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import orjson

from gateway.fhir.request.binary_body import check_binary, refuse_security_context
from gateway.fhir.request.interaction import Write, WriteKind
from gateway.fhir.request.media_types import is_json_content_type, is_json_patch_type
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.fhir.resources.resource import MalformedResourceError, check_nesting, may_hold_resources
from gateway.scopes.resource_types import RESOURCE_TYPES

# A QuestionnaireResponse, which nests the deepest, takes four levels for each level of its items.
MAX_DEPTH = 100
MAX_PATCH_OPERATIONS = 200
_READING_OPERATIONS = ("test", "copy", "move")

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


# A Struct, because one is created per write: creating a frozen dataclass takes three times as long.
class WrittenResource(msgspec.Struct, frozen=True, gc=False):
    """A resource of a client. `tree` is plain JSON, its numbers as in `decode_body`; nobody changes it.

    `text` is the encoded tree, and `judged` the same with floats alone.
    """

    tree: Mapping[str, Any]
    text: bytes
    judged: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JsonPatch:
    """A JSON Patch (RFC 6902): its operations, each an object, not yet checked any further."""

    operations: tuple[Mapping[str, Any], ...]

    @property
    def reads_values(self) -> bool:
        """Whether the patch asks for what is stored: by a `test`, or by a value that it puts where it is judged."""
        return any(operation.get("op") in _READING_OPERATIONS for operation in self.operations)


WrittenContent = WrittenResource | JsonPatch


def parse_content(write: Write, headers: Mapping[bytes, bytes], body: bytes) -> WrittenContent | None:
    """The content of a write; None for a delete. Raises `RequestError`."""
    if write.kind is WriteKind.DELETE:
        return None
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise RequestError(RequestProblem.MEDIA_TYPE_UNSUPPORTED, "Content-Encoding", "Send it without encoding.")
    content_type = headers.get(b"content-type", b"")
    if write.kind is WriteKind.PATCH:
        return _parse_patch(content_type, body)
    if not is_json_content_type(content_type):
        raise RequestError(RequestProblem.MEDIA_TYPE_UNSUPPORTED, "Content-Type", "Send application/fhir+json.")
    refuse_security_context(write, headers)
    tree, encoding = _decode_body(body)
    return parse_resource(tree, write, encoding)


def parse_resource(tree: Any, write: Write, encoding: bytes | None = None) -> WrittenResource:
    """The resource of a create or an update. `encoding` is the tree as orjson encodes it, if that is known.

    Raises `RequestError` if it is none, or not the one of the address.
    """
    if not isinstance(tree, dict) or "resourceType" not in tree:
        raise RequestError(RequestProblem.BODY_NOT_A_RESOURCE)
    resource_type = tree["resourceType"]
    if not isinstance(resource_type, str) or resource_type not in RESOURCE_TYPES:
        raise RequestError(RequestProblem.BODY_NOT_A_RESOURCE, "resourceType")
    if resource_type != write.resource_type:
        raise RequestError(RequestProblem.BODY_TYPE_MISMATCH, resource_type)
    if write.id is not None and tree.get("id") != write.id:
        raise RequestError(RequestProblem.BODY_ID_MISMATCH, "id")
    if len({name.lower() for name in tree}) != len(tree):
        # A server that reads names in any case would take one for the other.
        raise RequestError(RequestProblem.BODY_MEMBER_REPEATED)
    resource = encode_resource(tree) if encoding is None else WrittenResource(tree, encoding, tree)
    _check_nested_resources(resource.text)
    if resource_type == "Binary":
        check_binary(tree)
    return resource


def encode_resource(tree: Mapping[str, Any]) -> WrittenResource:
    """The resource of a tree that is known to be one."""
    try:
        return WrittenResource(tree, orjson.dumps(tree), tree)
    except TypeError:
        # It does not know `Decimal`.
        text = _ENCODER.encode(tree)
        return WrittenResource(tree, text, orjson.loads(text))


def encode_tree(tree: Any) -> bytes:
    """The bytes of plain JSON, its numbers as in `decode_body`."""
    try:
        return orjson.dumps(tree)
    except TypeError:
        return _ENCODER.encode(tree)


def decode_stored(text: bytes) -> Any:
    """Plain JSON with decimals, of bytes that are known to be JSON with each member once."""
    return _DECODER.decode(text)


def decode_body(body: bytes) -> Any:
    """The body as plain JSON. Raises `RequestError` unless it is JSON with exactly one meaning."""
    return _decode_body(body)[0]


def _decode_body(body: bytes) -> tuple[Any, bytes | None]:
    """As `decode_body`, with the tree's encoding where it has no `Decimal`."""
    if not body.strip():
        raise RequestError(RequestProblem.BODY_MISSING)
    try:
        tree = orjson.loads(body)
        encoding = orjson.dumps(tree)
        if encoding == body or encoding == msgspec.json.format(body, indent=-1):
            _check_depth_of(body, tree)
            return tree, encoding
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        # What is wrong with it is found below.
        pass
    return _decode_exactly(body), None


def _decode_exactly(body: bytes) -> Any:
    """As `decode_body`, for every style of JSON."""
    try:
        body.decode()
        tree = _DECODER.decode(body)
        _check_depth_of(body, tree)
        # Both decoders must accept it: the other one reads what is judged.
        orjson.loads(body)
        compact = msgspec.json.format(body, indent=-1)
    except RecursionError as error:
        raise _too_deep() from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise RequestError(RequestProblem.BODY_MALFORMED) from error
    # The same bytes again mean that no member was repeated. Escapes and exponents can differ without that.
    if _ENCODER.encode(tree) != compact:
        json.loads(body, object_pairs_hook=_refuse_repeated)
    return tree


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise RequestError(RequestProblem.BODY_MEMBER_REPEATED, name)
        members[name] = value
    return members


def _check_depth_of(body: bytes, tree: Any) -> None:
    """As `check_depth`, for the tree of the body.

    Written line by line, each level is indented by a space more, and no string of JSON has a line feed in it. That
    takes a tenth of the time, but an empty list or object has no line of its own.
    """
    objects = body.count(b"{")
    if objects <= MAX_DEPTH and objects + body.count(b"[") <= MAX_DEPTH:
        return
    if b"\n" + b" " * MAX_DEPTH in msgspec.json.format(body, indent=1):
        check_depth(tree)


def _too_deep() -> RequestError:
    return RequestError(RequestProblem.BODY_TOO_DEEP, hint=f"At most {MAX_DEPTH} levels are read.")


def check_depth(tree: Any) -> None:
    """Raises `RequestError` (body_too_deep) above `MAX_DEPTH` levels."""
    depth, level = 0, [tree]
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        level = [child for value in level for child in _children(value)]


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from (child for child in value.values() if isinstance(child, dict | list))
    elif isinstance(value, list):
        yield from (child for child in value if isinstance(child, dict | list))


def _check_nested_resources(text: bytes) -> None:
    """A resource beside `contained` would not be judged, so it is refused (leak_20)."""
    if not may_hold_resources(text, 1):
        return
    try:
        check_nesting(_MEMBERS.decode(text))
    except MalformedResourceError as error:
        raise RequestError(RequestProblem.BODY_NESTED_RESOURCE) from error


def _parse_patch(content_type: bytes, body: bytes) -> JsonPatch:
    if not is_json_patch_type(content_type):
        raise RequestError(RequestProblem.PATCH_FORMAT_UNSUPPORTED, "Content-Type", "Send application/json-patch+json.")
    operations = decode_body(body)
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        raise RequestError(RequestProblem.PATCH_MALFORMED)
    if len(operations) > MAX_PATCH_OPERATIONS:
        raise RequestError(RequestProblem.REQUEST_TOO_LARGE, "operations", f"At most {MAX_PATCH_OPERATIONS}.")
    return JsonPatch(tuple(operations))
