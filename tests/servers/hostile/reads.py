"""Hostile responses to reads, and hostile errors and headers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.servers.hostile.documents import bundle_response, capability_statement, entries_of, honest_response
from tests.servers.hostile.messages import FhirRequest, HostileResponse, RequestKind, json_response
from tests.servers.hostile.modes import Mode
from tests.servers.hostile.world import (
    A_REFERENCE,
    B_REFERENCE,
    HOSTILE_B,
    b_resource,
    build_resource,
    outcome,
    owner_key,
)
from tests.servers.people import B_MARKER, PATIENT_A

_LOOKALIKE_REFERENCES: tuple[Any, ...] = (
    {"reference": f"http://evil.example/fhir/Patient/{PATIENT_A}"},
    {"reference": f"Group/{PATIENT_A}"},
    {"reference": f"Patient/{PATIENT_A}2"},
    {"reference": f"Patient/{PATIENT_A.upper()}"},
    {"reference": f"patient/{PATIENT_A}"},
    {"reference": f"Patient/{PATIENT_A}/Observation"},
    {"reference": f"Patient/x/../{PATIENT_A}"},
    {"reference": f"Patient/{HOSTILE_B}?x=Patient/{PATIENT_A}"},
    {"reference": f"Patient/{HOSTILE_B}#Patient/{PATIENT_A}"},
    {"reference": f"Patient?identifier={PATIENT_A}"},
    {"reference": f"urn:uuid:{PATIENT_A}"},
    {"reference": f"#{PATIENT_A}"},
    {"reference": [f"Patient/{PATIENT_A}"]},
    {"reference": {"reference": f"Patient/{PATIENT_A}"}},
    {"type": "Patient", "identifier": {"value": PATIENT_A}},
    {"display": f"Patient/{PATIENT_A}"},
    f"Patient/{PATIENT_A}",
    None,
)
_LOOKALIKE_IDS = (f"{PATIENT_A}-2", f"x{PATIENT_A}", "PAT-A", "p\u0430t-a", f"{PATIENT_A} ", f"{PATIENT_A}\u0000")


def _respond_with(resource: Callable[[FhirRequest], Any]) -> Callable[[FhirRequest], HostileResponse | None]:
    """Respond to reads and writes with the resource, and to searches with the resource as their match."""

    def response(request: FhirRequest) -> HostileResponse | None:
        if request.kind in {RequestKind.READ, RequestKind.WRITE}:
            return json_response(resource(request))
        return bundle_response(request, entries_of(request, [resource(request)]))

    return response


def _respond_with_each_owner(owners: tuple[Any, ...], request: FhirRequest) -> HostileResponse | None:
    """B's records under every owner; a read takes the one whose number ends the id, so that tests reach each."""
    if request.type == "Patient":
        return _respond_with(lambda _question: b_resource("Patient"))(request)
    records = [build_resource(request.type, f"a-{number}", owner, B_MARKER) for number, owner in enumerate(owners)]
    if request.kind is RequestKind.READ:
        number = request.id.rpartition("-")[2]
        return json_response({**records[int(number) % len(records) if number.isdigit() else 0], "id": request.id})
    return bundle_response(request, entries_of(request, records))


def _lookalike_references(request: FhirRequest) -> HostileResponse | None:
    return _respond_with_each_owner(_LOOKALIKE_REFERENCES, request)


def _lookalike_ids(request: FhirRequest) -> HostileResponse | None:
    if request.type == "Patient":
        people = [b_resource("Patient", logical_id) for logical_id in _LOOKALIKE_IDS]
        return (
            json_response(people[0])
            if request.kind is RequestKind.READ
            else bundle_response(request, entries_of(request, people))
        )
    return _respond_with_each_owner(
        tuple({"reference": f"Patient/{logical_id}"} for logical_id in _LOOKALIKE_IDS), request
    )


def _two_subjects(request: FhirRequest) -> Any:
    return {**b_resource(request.type, request.id), owner_key(request.type): [A_REFERENCE, B_REFERENCE]}


def _untyped_resource(request: FhirRequest) -> Any:
    b = {**b_resource(request.type, request.id), owner_key(request.type): A_REFERENCE}
    del b["resourceType"]
    strange: tuple[dict[str, Any], ...] = (
        {},
        {"resourceType": None},
        {"resourceType": [request.type]},
        {"resourcetype": request.type},
    )
    return b | strange[len(request.target) % len(strange)]


def _always_304(request: FhirRequest) -> HostileResponse | None:
    if request.header("if-none-match") or request.header("if-modified-since"):
        return HostileResponse(b"", 304, None, (("ETag", f'W/"{B_MARKER}"'),))
    return json_response(b_resource(request.type, request.id)) if request.kind is RequestKind.READ else None


def _unless_metadata(
    response: Callable[[FhirRequest], HostileResponse],
) -> Callable[[FhirRequest], HostileResponse | None]:
    return lambda request: None if request.kind is RequestKind.METADATA else response(request)


def _outcome_quotes_b(request: FhirRequest) -> HostileResponse:
    words = f"Patient/{HOSTILE_B} ({B_MARKER}) matches {request.target} on {request.base}"
    return json_response(outcome(words), 400)


def _patient(status: int) -> Callable[[FhirRequest], HostileResponse]:
    return lambda _question: json_response(b_resource("Patient"), status)


def _stack_trace(_question: FhirRequest) -> HostileResponse:
    words = f"java.lang.NullPointerException: {json.dumps(b_resource())}\n\tat org.example.Dao.read(Dao.java:7)\n"
    return HostileResponse(words.encode(), 500, "text/plain")


def _redirect(request: FhirRequest) -> HostileResponse:
    where = f"http://evil.example/fhir/Patient/{HOSTILE_B}"
    return json_response(b_resource(request.type), 302, ("Location", where))


def _unauthorized(request: FhirRequest) -> HostileResponse:
    return json_response(b_resource(request.type), 401, ("WWW-Authenticate", f'Basic realm="{B_MARKER}"'))


def _headers_of_b(request: FhirRequest) -> HostileResponse | None:
    response = honest_response(request)
    names = [
        "Access-Control-Allow-Headers",
        "Access-Control-Expose-Headers",
        "Content-Disposition",
        "Content-Language",
        "Link",
        "Server",
        "Set-Cookie",
        "Strict-Transport-Security",
        "Via",
        "Warning",
        "X-Cache",
        "X-Patient-Name",
        "X-Powered-By",
        "X-Request-ID",
        "X-Security-Context",
    ]
    cors = (("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true"))
    bad = ((name, f"{B_MARKER}={HOSTILE_B}") for name in names)
    return HostileResponse(response.body, response.status, response.content_type, (*response.headers, *cors, *bad))


def _evil_metadata(request: FhirRequest) -> HostileResponse | None:
    if request.kind is not RequestKind.METADATA:
        return None
    uris = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
    evil = "http://evil.example/oauth"
    statement = capability_statement("http://evil.example/fhir")
    rest = {
        **statement["rest"][0],
        "documentation": B_MARKER,
        "security": {
            "cors": True,
            "description": B_MARKER,
            "extension": [{"url": uris, "extension": [{"url": "token", "valueUri": evil}]}],
        },
        "operation": [{"name": "graphql", "definition": f"http://evil.example/{B_MARKER}"}],
    }
    return json_response({**statement, "rest": [rest], "description": B_MARKER, "contained": [b_resource("Patient")]})


RESPONSES: dict[Mode, Callable[[FhirRequest], HostileResponse | None]] = {
    Mode.HONEST: honest_response,
    Mode.READ_OF_B: _respond_with(lambda request: b_resource(request.type)),
    Mode.SUBJECT_OF_B: _respond_with(lambda request: b_resource(request.type, request.id)),
    Mode.TYPE_OF_B: _respond_with(lambda _question: b_resource("Patient")),
    Mode.LIST_OF_SUBJECTS: _respond_with(_two_subjects),
    Mode.LOOKALIKE_REFERENCES: _lookalike_references,
    Mode.LOOKALIKE_IDS: _lookalike_ids,
    Mode.NO_RESOURCE_TYPE: _respond_with(_untyped_resource),
    Mode.ALWAYS_304: _always_304,
    Mode.OUTCOME_QUOTES_B: _unless_metadata(_outcome_quotes_b),
    Mode.PATIENT_AS_404: _unless_metadata(_patient(404)),
    Mode.PATIENT_AS_500: _unless_metadata(_patient(500)),
    Mode.STACK_TRACE: _unless_metadata(_stack_trace),
    Mode.REDIRECT: _unless_metadata(_redirect),
    Mode.UNAUTHORIZED: _unless_metadata(_unauthorized),
    Mode.HEADERS_OF_B: _headers_of_b,
    Mode.EVIL_METADATA: _evil_metadata,
}
