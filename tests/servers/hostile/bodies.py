"""Hostile media types, encodings and JSON: the body is about B, and its form is wrong."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

from tests.servers.hostile.documents import honest_response, mixed_document
from tests.servers.hostile.messages import FHIR_JSON, FhirRequest, HostileResponse, RequestKind
from tests.servers.hostile.modes import Mode
from tests.servers.hostile.world import A_REFERENCE, B_REFERENCE, HOSTILE_B, b_resource, entry, owner_key
from tests.servers.people import B_MARKER, PATIENT_A

MIB = 1 << 20
_BUNDLES = {
    RequestKind.SEARCH: "searchset",
    RequestKind.OPERATION: "searchset",
    RequestKind.HISTORY: "history",
    RequestKind.BATCH: "batch-response",
}
_PLACEHOLDER = "--hole--"


def stolen_document(request: FhirRequest) -> bytes:
    """A well-formed document with B's records, from which the malformed bodies are made."""
    return json.dumps(mixed_document(request)).encode()


def _wrap_in_bundle(request: FhirRequest, resource: str) -> bytes:
    """The JSON of a resource, in a Bundle if the request is for one."""
    kind = _BUNDLES.get(request.kind)
    if kind is None:
        return resource.encode()
    outer = {"resourceType": "Bundle", "type": kind, "entry": [entry(_PLACEHOLDER, request.base)]}
    return json.dumps(outer).replace(f'"{_PLACEHOLDER}"', resource).encode()


def _encode_with_members(resource: dict[str, Any], *more: tuple[str, Any]) -> str:
    """The resource's JSON, with further members whose keys are written as given."""
    return json.dumps(resource)[:-1] + "".join(f', "{key}": {json.dumps(value)}' for key, value in more) + "}"


def _record_with_owners(request: FhirRequest, *keys_and_owners: tuple[bool, str]) -> bytes:
    """B's record with several owner elements: for each, whether its key is escaped, and whose it is."""
    key = owner_key(request.type)
    owners: dict[str, Any] = {"A": A_REFERENCE, "B": B_REFERENCE}
    if key == "id":
        owners = {"A": PATIENT_A, "B": HOSTILE_B}
    escaped = f"\\u{ord(key[0]):04x}{key[1:]}"
    bare = {name: value for name, value in b_resource(request.type, request.id).items() if name != key}
    more = [(escaped if is_escaped else key, owners[owner]) for is_escaped, owner in keys_and_owners]
    return _wrap_in_bundle(request, _encode_with_members(bare, *more))


def _duplicate_resource_type(request: FhirRequest) -> bytes:
    return _wrap_in_bundle(
        request, _encode_with_members(b_resource(request.type, request.id), ("resourceType", "Basic"))
    )


def _duplicate_entry(request: FhirRequest) -> bytes:
    document = json.loads(honest_response(request).body or b"{}")
    if "entry" not in document:
        return _record_with_owners(request, (False, "A"), (False, "B"))
    b = [entry(b_resource(request.type), request.base)]
    doubled = _encode_with_members(document["entry"][0], ("resource", b_resource(request.type)))
    text = _encode_with_members({**document, "entry": [_PLACEHOLDER]}, ("entry", b))
    return text.replace(f'"{_PLACEHOLDER}"', doubled).encode()


def _record_with_text(request: FhirRequest, instead: bytes) -> bytes:
    """B's record with one text replaced by these bytes."""
    resource = {**b_resource(request.type, request.id), "language": _PLACEHOLDER}
    return _wrap_in_bundle(request, json.dumps(resource)).replace(f'"{_PLACEHOLDER}"'.encode(), instead)


def _deep_extensions(request: FhirRequest) -> bytes:
    depth = 5000
    inner = '{"url": "urn:x", "extension": [' * depth + '{"url": "urn:x", "valueBoolean": true}' + "]}" * depth
    resource = {**b_resource(request.type, request.id), "extension": [_PLACEHOLDER]}
    return _wrap_in_bundle(request, json.dumps(resource)).replace(f'"{_PLACEHOLDER}"'.encode(), inner.encode())


def _xml(request: FhirRequest) -> bytes:
    kind = request.type
    return (
        f'<{kind} xmlns="http://hl7.org/fhir"><id value="{B_MARKER}-1"/>'
        f'<subject><reference value="Patient/{HOSTILE_B}"/></subject></{kind}>'
    ).encode()


def _html(request: FhirRequest) -> bytes:
    return b"<!doctype html><title>FHIR</title><pre>" + stolen_document(request) + b"</pre>"


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


def _json(body: Callable[[FhirRequest], bytes]) -> Callable[[FhirRequest], HostileResponse | None]:
    """Respond with this body as FHIR JSON."""
    return _typed(FHIR_JSON, body)


def _typed(
    content_type: str | None, body: Callable[[FhirRequest], bytes], encoding: str | None = None
) -> Callable[[FhirRequest], HostileResponse | None]:
    """Respond with this body and these headers, except where the gateway needs a correct response to start."""

    def response(request: FhirRequest) -> HostileResponse | None:
        if request.kind in {RequestKind.METADATA, RequestKind.FILE}:
            return None
        headers = (("Content-Encoding", encoding),) if encoding else ()
        return HostileResponse(body(request), 200, content_type, headers)

    return response


RESPONSES: dict[Mode, Callable[[FhirRequest], HostileResponse | None]] = {
    Mode.HTML: _typed("text/html; charset=utf-8", _html),
    Mode.XML: _typed("application/fhir+xml", _xml),
    Mode.JSON_AS_HTML: _typed("text/html", stolen_document),
    Mode.HTML_AS_JSON: _json(_html),
    Mode.NO_CONTENT_TYPE: _typed(None, stolen_document),
    Mode.UTF_16: _typed(
        f"{FHIR_JSON}; charset=utf-16", lambda request: stolen_document(request).decode().encode("utf-16")
    ),
    Mode.BYTE_ORDER_MARK: _json(lambda request: b"\xef\xbb\xbf" + stolen_document(request)),
    Mode.GZIP_UNASKED: _typed(FHIR_JSON, lambda request: _gzip(stolen_document(request)), "gzip"),
    Mode.GZIP_BOMB: _typed(FHIR_JSON, lambda _question: _bomb(), "gzip"),
    Mode.UNKNOWN_ENCODING: _typed(FHIR_JSON, stolen_document, "x-secret"),
    Mode.MALFORMED_JSON: _json(lambda request: stolen_document(request)[:-20]),
    Mode.TRAILING_DOCUMENT: _json(lambda request: honest_response(request).body + b"\n" + stolen_document(request)),
    Mode.DUPLICATE_SUBJECT_A_B: _json(lambda request: _record_with_owners(request, (False, "A"), (False, "B"))),
    Mode.DUPLICATE_SUBJECT_B_A: _json(lambda request: _record_with_owners(request, (False, "B"), (False, "A"))),
    Mode.ESCAPED_SUBJECT_A_B: _json(lambda request: _record_with_owners(request, (False, "A"), (True, "B"))),
    Mode.ESCAPED_SUBJECT_B_A: _json(lambda request: _record_with_owners(request, (True, "B"), (False, "A"))),
    Mode.DUPLICATE_RESOURCE_TYPE: _json(_duplicate_resource_type),
    Mode.DUPLICATE_ENTRY: _json(_duplicate_entry),
    Mode.INVALID_UTF8: _json(lambda request: _record_with_text(request, b'"\xff\xfe\xc0\x80"')),
    Mode.LONE_SURROGATE: _json(lambda request: _record_with_text(request, b'"\\ud800"')),
    Mode.NUL_BYTES: _json(lambda request: _record_with_text(request, b'"\x00\\u0000"')),
    Mode.NOT_A_NUMBER: _json(lambda request: _record_with_text(request, b"[NaN, Infinity, -Infinity, 1e999]")),
    Mode.DEEP_NESTING: _json(lambda request: _record_with_text(request, b"[" * 100_000 + b"]" * 100_000)),
    Mode.DEEP_EXTENSIONS: _json(_deep_extensions),
    Mode.NOT_AN_OBJECT: _json(lambda request: json.dumps([b_resource(request.type), b_resource("Patient")]).encode()),
}
