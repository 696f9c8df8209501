"""The documents of which responses consist: the honest ones, and those that mix A and B."""

from __future__ import annotations

import json
from typing import Any

from tests.servers.hostile.messages import FhirRequest, HostileResponse, RequestKind, json_response
from tests.servers.hostile.world import a_resource, b_resource, belongs_to_a, bundle, entry, outcome
from tests.servers.people import B_MARKER, Resource

TYPES = [
    "AllergyIntolerance",
    "Appointment",
    "Binary",
    "CarePlan",
    "CareTeam",
    "Condition",
    "Coverage",
    "Device",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Goal",
    "Group",
    "Immunization",
    "List",
    "Location",
    "Medication",
    "MedicationRequest",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "RelatedPerson",
    "ServiceRequest",
    "Task",
]


def honest_response(request: FhirRequest) -> HostileResponse:
    """The response of a server that has only A's data."""
    a, base = a_resource(request.type, request.id), request.base
    match request.kind:
        case RequestKind.METADATA:
            return json_response(capability_statement(base))
        case RequestKind.READ | RequestKind.HISTORY if not belongs_to_a(request.type, request.id):
            return json_response(outcome("Resource not found", "not-found"), 404)
        case RequestKind.READ:
            return json_response(a, 200, ("ETag", 'W/"1"'), ("Last-Modified", "Thu, 01 Jan 2026 09:00:00 GMT"))
        case RequestKind.SEARCH:
            return json_response(
                bundle("searchset", [entry(resource, base) for resource in matches_of_a(request.type)], base)
            )
        case RequestKind.HISTORY:
            return json_response(bundle("history", [entry(a, base, None)], base))
        case RequestKind.OPERATION if "$export" in request.target:
            return HostileResponse(b"", 202, None, (("Content-Location", f"{base}/bulk/1"),))
        case RequestKind.OPERATION:
            everything = [a_resource("Patient"), *matches_of_a("Observation")]
            return json_response(bundle("searchset", [entry(resource, base) for resource in everything], base))
        case RequestKind.FILE if request.target.endswith(".ndjson"):
            lines = "".join(json.dumps(resource) + "\n" for resource in matches_of_a("Observation"))
            return HostileResponse(lines.encode(), 200, "application/fhir+ndjson")
        case RequestKind.FILE:
            return json_response(manifest(request, [f"{base}/bulk/1/Observation.ndjson"]))
        case RequestKind.WRITE:
            return _write_response(request)
        case RequestKind.BATCH:
            return json_response(_batch_response(request))


def mixed_document(request: FhirRequest) -> Resource:
    """A document of the requested kind with A's and B's data."""
    base = request.base
    results = [
        resource
        for pair in zip(matches_of_a(request.type), matches_of_b(request.type), strict=False)
        for resource in pair
    ]
    match request.kind:
        case RequestKind.SEARCH:
            return bundle("searchset", [entry(resource, base) for resource in results], base)
        case RequestKind.HISTORY:
            return bundle("history", [entry(resource, base, None) for resource in results], base)
        case RequestKind.OPERATION:
            people = [
                a_resource("Patient"),
                b_resource("Patient"),
                *matches_of_a("Observation"),
                *matches_of_b("Observation"),
            ]
            return bundle("searchset", [entry(resource, base) for resource in people], base)
        case RequestKind.BATCH:
            responses = [{"resource": bundle("searchset", [entry(item, base) for item in results], base)}]
            return bundle(
                "batch-response", [{**response, "response": {"status": "200"}} for response in responses], base
            )
        case _:
            return b_resource(request.type, request.id)


def bundle_response(request: FhirRequest, entries: list[Resource], **elements: Any) -> HostileResponse | None:
    """A response with the entries in a Bundle of the requested kind; None if the request is not for a Bundle."""
    match request.kind:
        case RequestKind.SEARCH | RequestKind.OPERATION:
            return json_response(bundle("searchset", entries, request.base, **elements))
        case RequestKind.HISTORY:
            return json_response(bundle("history", entries, request.base, **elements))
        case _:
            return None


def entries_of(request: FhirRequest, resources: list[Any]) -> list[Resource]:
    """Entries for the kind of Bundle that was requested."""
    mode = None if request.kind is RequestKind.HISTORY else "match"
    return [entry(resource, request.base, mode) for resource in resources]


def matches_of_a(kind: str) -> list[Resource]:
    """The results of a search for A's records of a type."""
    return [a_resource(kind)] if kind == "Patient" else [a_resource(kind, "a-1"), a_resource(kind, "a-2")]


def matches_of_b(kind: str) -> list[Resource]:
    """The results of a search for B's records of a type."""
    return [b_resource(kind)] if kind == "Patient" else [b_resource(kind), b_resource(kind, f"{B_MARKER}-2")]


def manifest(request: FhirRequest, files: list[str]) -> Resource:
    """The response to a finished bulk export."""
    return {
        "transactionTime": "2026-01-01T09:00:00Z",
        "request": f"{request.base}/$export",
        "requiresAccessToken": True,
        "output": [{"type": "Observation", "url": url} for url in files],
        "error": [],
    }


def capability_statement(base: str) -> Resource:
    """A CapabilityStatement that declares everything for the usual types."""
    interactions = [
        "read",
        "vread",
        "update",
        "patch",
        "delete",
        "history-instance",
        "history-type",
        "create",
        "search-type",
    ]
    parameters = {"_id": "token", "patient": "reference", "subject": "reference", "category": "token", "code": "token"}
    resources = [
        {
            "type": kind,
            "interaction": [{"code": code} for code in interactions],
            "versioning": "versioned-update",
            "updateCreate": True,
            "searchParam": [{"name": name, "type": type_} for name, type_ in parameters.items()],
        }
        for kind in TYPES
    ]
    system = [{"code": code} for code in ("batch", "transaction", "history-system", "search-system")]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-01-01",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "patchFormat": ["application/json-patch+json"],
        "implementation": {"description": "A test server", "url": base},
        "rest": [{"mode": "server", "resource": resources, "interaction": system}],
    }


def _write_response(request: FhirRequest) -> HostileResponse:
    if request.method == "DELETE":
        return HostileResponse(b"", 204, None)
    sent = request.json()
    resource = {**sent, "id": request.id} if isinstance(sent, dict) else a_resource(request.type, request.id)
    location = f"{request.base}/{request.type}/{request.id}/_history/1"
    return json_response(resource, 201 if request.method == "POST" else 200, ("Location", location), ("ETag", 'W/"1"'))


def _batch_response(request: FhirRequest) -> Resource:
    entries = []
    for asked in request.json().get("entry", ()):
        words = asked.get("request", {})
        sent = asked.get("resource")
        if words.get("method") == "GET":
            kind = str(words.get("url", "")).partition("?")[0].partition("/")[0]
            results = [entry(resource, request.base) for resource in matches_of_a(kind)]
            response = {"resource": bundle("searchset", results, request.base), "response": {"status": "200"}}
        else:
            response = {"response": {"status": "200", "location": "Observation/a-1/_history/1"}}
            response |= {"resource": sent} if sent else {}
        entries.append(response)
    kind = "transaction-response" if request.json().get("type") == "transaction" else "batch-response"
    return {"resourceType": "Bundle", "type": kind, "entry": entries}
