"""Hostile media types, encodings and JSON: whatever is asked, the body is B's and its form is wrong."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

from tests.servers.hostile.documents import honest, mixed
from tests.servers.hostile.modes import Mode
from tests.servers.hostile.question import FHIR_JSON, Answer, Kind, Question
from tests.servers.hostile.world import A_REFERENCE, B_REFERENCE, HOSTILE_B, entry, of_b, owner_key
from tests.servers.people import B_MARKER, PATIENT_A

MIB = 1 << 20
_BUNDLES = {
    Kind.SEARCH: "searchset",
    Kind.OPERATION: "searchset",
    Kind.HISTORY: "history",
    Kind.BATCH: "batch-response",
}
_HOLE = "--hole--"


def stolen(question: Question) -> bytes:
    """The document with B's records, well formed: what the deformed answers are made of."""
    return json.dumps(mixed(question)).encode()


def _around(question: Question, resource: str) -> bytes:
    """The text of a resource, inside a Bundle when one was asked for."""
    kind = _BUNDLES.get(question.kind)
    if kind is None:
        return resource.encode()
    outer = {"resourceType": "Bundle", "type": kind, "entry": [entry(_HOLE, question.base)]}
    return json.dumps(outer).replace(f'"{_HOLE}"', resource).encode()


def _members(resource: dict[str, Any], *more: tuple[str, Any]) -> str:
    """The resource's JSON, with further members whose keys are written as given."""
    return json.dumps(resource)[:-1] + "".join(f', "{key}": {json.dumps(value)}' for key, value in more) + "}"


def _owners(question: Question, *keys_and_owners: tuple[bool, str]) -> bytes:
    """B's record with several owner elements: for each, whether its key is escaped, and whose it is."""
    key = owner_key(question.type)
    owners: dict[str, Any] = {"A": A_REFERENCE, "B": B_REFERENCE}
    if key == "id":
        owners = {"A": PATIENT_A, "B": HOSTILE_B}
    escaped = f"\\u{ord(key[0]):04x}{key[1:]}"
    bare = {name: value for name, value in of_b(question.type, question.id).items() if name != key}
    more = [(escaped if is_escaped else key, owners[owner]) for is_escaped, owner in keys_and_owners]
    return _around(question, _members(bare, *more))


def _duplicate_resource_type(question: Question) -> bytes:
    return _around(question, _members(of_b(question.type, question.id), ("resourceType", "Basic")))


def _duplicate_entry(question: Question) -> bytes:
    document = json.loads(honest(question).body or b"{}")
    if "entry" not in document:
        return _owners(question, (False, "A"), (False, "B"))
    b = [entry(of_b(question.type), question.base)]
    doubled = _members(document["entry"][0], ("resource", of_b(question.type)))
    text = _members({**document, "entry": [_HOLE]}, ("entry", b))
    return text.replace(f'"{_HOLE}"', doubled).encode()


def _marked(question: Question, instead: bytes) -> bytes:
    """B's record with one text replaced by these bytes."""
    resource = {**of_b(question.type, question.id), "language": _HOLE}
    return _around(question, json.dumps(resource)).replace(f'"{_HOLE}"'.encode(), instead)


def _deep_extensions(question: Question) -> bytes:
    depth = 5000
    inner = '{"url": "urn:x", "extension": [' * depth + '{"url": "urn:x", "valueBoolean": true}' + "]}" * depth
    resource = {**of_b(question.type, question.id), "extension": [_HOLE]}
    return _around(question, json.dumps(resource)).replace(f'"{_HOLE}"'.encode(), inner.encode())


def _xml(question: Question) -> bytes:
    kind = question.type
    return (
        f'<{kind} xmlns="http://hl7.org/fhir"><id value="{B_MARKER}-1"/>'
        f'<subject><reference value="Patient/{HOSTILE_B}"/></subject></{kind}>'
    ).encode()


def _html(question: Question) -> bytes:
    return b"<!doctype html><title>FHIR</title><pre>" + stolen(question) + b"</pre>"


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(body) + packer.flush()


@cache
def _bomb() -> bytes:
    """A JSON text of 64 MiB, gzipped to some 64 KiB."""
    packer = zlib.compressobj(level=1, wbits=31)
    parts = [packer.compress(f'{{"resourceType": "Basic", "id": "{B_MARKER}", "x": "'.encode())]
    parts += [packer.compress(bytes([0x61]) * MIB) for _ in range(64)]
    return b"".join([*parts, packer.compress(b'"}'), packer.flush()])


def _json(body: Callable[[Question], bytes]) -> Callable[[Question], Answer | None]:
    """Answer with this body as FHIR JSON."""
    return _typed(FHIR_JSON, body)


def _typed(
    content_type: str | None, body: Callable[[Question], bytes], encoding: str | None = None
) -> Callable[[Question], Answer | None]:
    """Answer with this body under these headers, except where a server must answer right to be used at all."""

    def answer(question: Question) -> Answer | None:
        if question.kind in {Kind.METADATA, Kind.FILE}:
            return None
        headers = (("Content-Encoding", encoding),) if encoding else ()
        return Answer(body(question), 200, content_type, headers)

    return answer


ANSWERS: dict[Mode, Callable[[Question], Answer | None]] = {
    Mode.HTML: _typed("text/html; charset=utf-8", _html),
    Mode.XML: _typed("application/fhir+xml", _xml),
    Mode.JSON_AS_HTML: _typed("text/html", stolen),
    Mode.HTML_AS_JSON: _json(_html),
    Mode.NO_CONTENT_TYPE: _typed(None, stolen),
    Mode.UTF_16: _typed(f"{FHIR_JSON}; charset=utf-16", lambda question: stolen(question).decode().encode("utf-16")),
    Mode.BYTE_ORDER_MARK: _json(lambda question: b"\xef\xbb\xbf" + stolen(question)),
    Mode.GZIP_UNASKED: _typed(FHIR_JSON, lambda question: _gzip(stolen(question)), "gzip"),
    Mode.GZIP_BOMB: _typed(FHIR_JSON, lambda _question: _bomb(), "gzip"),
    Mode.UNKNOWN_ENCODING: _typed(FHIR_JSON, stolen, "x-secret"),
    Mode.MALFORMED_JSON: _json(lambda question: stolen(question)[:-20]),
    Mode.TRAILING_DOCUMENT: _json(lambda question: honest(question).body + b"\n" + stolen(question)),
    Mode.DUPLICATE_SUBJECT_A_B: _json(lambda question: _owners(question, (False, "A"), (False, "B"))),
    Mode.DUPLICATE_SUBJECT_B_A: _json(lambda question: _owners(question, (False, "B"), (False, "A"))),
    Mode.ESCAPED_SUBJECT_A_B: _json(lambda question: _owners(question, (False, "A"), (True, "B"))),
    Mode.ESCAPED_SUBJECT_B_A: _json(lambda question: _owners(question, (True, "B"), (False, "A"))),
    Mode.DUPLICATE_RESOURCE_TYPE: _json(_duplicate_resource_type),
    Mode.DUPLICATE_ENTRY: _json(_duplicate_entry),
    Mode.INVALID_UTF8: _json(lambda question: _marked(question, b'"\xff\xfe\xc0\x80"')),
    Mode.LONE_SURROGATE: _json(lambda question: _marked(question, b'"\\ud800"')),
    Mode.NUL_BYTES: _json(lambda question: _marked(question, b'"\x00\\u0000"')),
    Mode.NOT_A_NUMBER: _json(lambda question: _marked(question, b"[NaN, Infinity, -Infinity, 1e999]")),
    Mode.DEEP_NESTING: _json(lambda question: _marked(question, b"[" * 100_000 + b"]" * 100_000)),
    Mode.DEEP_EXTENSIONS: _json(_deep_extensions),
    Mode.NOT_AN_OBJECT: _json(lambda question: json.dumps([of_b(question.type), of_b("Patient")]).encode()),
}
