"""The documents that answers are made of: the honest one, the one with A and B mixed, the one that is stolen."""

from __future__ import annotations

import json
from typing import Any

from tests.servers.hostile.question import Answer, Kind, Question, as_json
from tests.servers.hostile.world import bundle, entry, is_a, of_a, of_b, outcome
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


def honest(question: Question) -> Answer:
    """What a server that holds A alone would answer."""
    a, base = of_a(question.type, question.id), question.base
    match question.kind:
        case Kind.METADATA:
            return as_json(capability_statement(base))
        case Kind.READ | Kind.HISTORY if not is_a(question.type, question.id):
            return as_json(outcome("Resource not found", "not-found"), 404)
        case Kind.READ:
            return as_json(a, 200, ("ETag", 'W/"1"'), ("Last-Modified", "Thu, 01 Jan 2026 09:00:00 GMT"))
        case Kind.SEARCH:
            return as_json(bundle("searchset", [entry(found, base) for found in matches(question.type)], base))
        case Kind.HISTORY:
            return as_json(bundle("history", [entry(a, base, None)], base))
        case Kind.OPERATION if "$export" in question.target:
            return Answer(b"", 202, None, (("Content-Location", f"{base}/bulk/1"),))
        case Kind.OPERATION:
            everything = [of_a("Patient"), *matches("Observation")]
            return as_json(bundle("searchset", [entry(found, base) for found in everything], base))
        case Kind.FILE if question.target.endswith(".ndjson"):
            lines = "".join(json.dumps(resource) + "\n" for resource in matches("Observation"))
            return Answer(lines.encode(), 200, "application/fhir+ndjson")
        case Kind.FILE:
            return as_json(manifest(question, [f"{base}/bulk/1/Observation.ndjson"]))
        case Kind.WRITE:
            return _written(question)
        case Kind.BATCH:
            return as_json(_batch_response(question))


def mixed(question: Question) -> Resource:
    """A document of the right kind that holds A and B."""
    base = question.base
    found = [
        resource for pair in zip(matches(question.type), matches_of_b(question.type), strict=False) for resource in pair
    ]
    match question.kind:
        case Kind.SEARCH:
            return bundle("searchset", [entry(resource, base) for resource in found], base)
        case Kind.HISTORY:
            return bundle("history", [entry(resource, base, None) for resource in found], base)
        case Kind.OPERATION:
            people = [of_a("Patient"), of_b("Patient"), *matches("Observation"), *matches_of_b("Observation")]
            return bundle("searchset", [entry(resource, base) for resource in people], base)
        case Kind.BATCH:
            answers = [{"resource": bundle("searchset", [entry(item, base) for item in found], base)}]
            return bundle("batch-response", [{**answer, "response": {"status": "200"}} for answer in answers], base)
        case _:
            return of_b(question.type, question.id)


def with_entries(question: Question, entries: list[Resource], **elements: Any) -> Answer | None:
    """A Bundle of the kind asked for around the entries; None if no Bundle was asked for."""
    match question.kind:
        case Kind.SEARCH | Kind.OPERATION:
            return as_json(bundle("searchset", entries, question.base, **elements))
        case Kind.HISTORY:
            return as_json(bundle("history", entries, question.base, **elements))
        case _:
            return None


def entries_of(question: Question, resources: list[Any]) -> list[Resource]:
    """Entries that suit the kind of Bundle that was asked for."""
    mode = None if question.kind is Kind.HISTORY else "match"
    return [entry(resource, question.base, mode) for resource in resources]


def matches(kind: str) -> list[Resource]:
    """What a search for A's records of a type finds."""
    return [of_a(kind)] if kind == "Patient" else [of_a(kind, "a-1"), of_a(kind, "a-2")]


def matches_of_b(kind: str) -> list[Resource]:
    """What a search for B's records of a type finds."""
    return [of_b(kind)] if kind == "Patient" else [of_b(kind), of_b(kind, f"{B_MARKER}-2")]


def manifest(question: Question, files: list[str]) -> Resource:
    """The answer to a finished bulk export."""
    return {
        "transactionTime": "2026-01-01T09:00:00Z",
        "request": f"{question.base}/$export",
        "requiresAccessToken": True,
        "output": [{"type": "Observation", "url": url} for url in files],
        "error": [],
    }


def capability_statement(base: str) -> Resource:
    """A CapabilityStatement that promises everything for the usual types."""
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


def _written(question: Question) -> Answer:
    if question.method == "DELETE":
        return Answer(b"", 204, None)
    sent = question.json()
    resource = {**sent, "id": question.id} if isinstance(sent, dict) else of_a(question.type, question.id)
    location = f"{question.base}/{question.type}/{question.id}/_history/1"
    return as_json(resource, 201 if question.method == "POST" else 200, ("Location", location), ("ETag", 'W/"1"'))


def _batch_response(question: Question) -> Resource:
    entries = []
    for asked in question.json().get("entry", ()):
        words = asked.get("request", {})
        sent = asked.get("resource")
        if words.get("method") == "GET":
            kind = str(words.get("url", "")).partition("?")[0].partition("/")[0]
            found = [entry(resource, question.base) for resource in matches(kind)]
            answer = {"resource": bundle("searchset", found, question.base), "response": {"status": "200"}}
        else:
            answer = {"response": {"status": "200", "location": "Observation/a-1/_history/1"}}
            answer |= {"resource": sent} if sent else {}
        entries.append(answer)
    kind = "transaction-response" if question.json().get("type") == "transaction" else "batch-response"
    return {"resourceType": "Bundle", "type": kind, "entry": entries}
