"""The two patients of the hostile server: any resource of any type, A's or B's, built on demand."""

from __future__ import annotations

import base64
from typing import Any

from tests.servers.people import B_MARKER, MARKER_SYSTEM, PATIENT_A, Resource

A_MARKER = "BELONGS-TO-A"
"""Stands in every resource that is A's, so that a test can see what was kept."""

HOSTILE_B = f"{B_MARKER}-patient"
"""B's id on the hostile server: the marker is part of every id of B's, so that a leaked id is seen as well."""

A_REFERENCE = {"reference": f"Patient/{PATIENT_A}"}
B_REFERENCE = {"reference": f"Patient/{HOSTILE_B}", "display": B_MARKER}

_OWNER = {
    "Account": "subject",
    "AllergyIntolerance": "patient",
    "Binary": "securityContext",
    "Claim": "patient",
    "Coverage": "beneficiary",
    "Device": "patient",
    "ExplanationOfBenefit": "patient",
    "Immunization": "patient",
    "NutritionOrder": "patient",
    "RelatedPerson": "patient",
    "ResearchSubject": "individual",
    "Task": "for",
}


def owner_key(kind: str) -> str:
    """The element that says whose a resource of this type is; `id` for a Patient."""
    return "id" if kind == "Patient" else _OWNER.get(kind, "subject")


def build_resource(kind: str, logical_id: str, owner: Any, marker: str) -> Resource:
    """A resource of the type whose owner element is `owner`, marked in its tag and its narrative."""
    resource: Resource = {
        "resourceType": kind,
        "id": logical_id,
        "meta": {"versionId": "1", "tag": [{"system": MARKER_SYSTEM, "code": marker}]},
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{marker}</div>'},
    }
    match kind:
        case "Patient":
            return {**resource, "name": [{"family": marker}]}
        case "Appointment":
            return {**resource, "status": "booked", "participant": [{"actor": owner, "status": "accepted"}]}
        case "Group":
            return {**resource, "type": "person", "actual": True, "member": [{"entity": owner}]}
        case "Provenance":
            return {**resource, "recorded": "2026-01-01T09:00:00Z", "target": [owner], "agent": [{"who": owner}]}
        case "Binary":
            del resource["text"]
            data = base64.b64encode(marker.encode()).decode()
            return {**resource, "contentType": "text/plain", "securityContext": owner, "data": data}
        case "Observation":
            return {**resource, "status": "final", "code": {"text": marker}, "subject": owner}
        case _:
            return {**resource, "status": "active", owner_key(kind): owner}


def a_resource(kind: str = "Observation", logical_id: str = "a-1") -> Resource:
    """A's resource; a Patient is A whatever the id."""
    return build_resource(kind, PATIENT_A if kind == "Patient" else logical_id, A_REFERENCE, A_MARKER)


def b_resource(kind: str = "Observation", logical_id: str = f"{B_MARKER}-1") -> Resource:
    """B's resource, under any id; B's Patient never has A's id, since then nothing would make it B's."""
    if kind == "Patient" and logical_id in {PATIENT_A, f"{B_MARKER}-1"}:
        logical_id = HOSTILE_B
    return build_resource(kind, logical_id, B_REFERENCE, B_MARKER)


def belongs_to_a(kind: str, logical_id: str) -> bool:
    """Whether the honest server holds this: A's Patient, and every id that begins with `a-`."""
    return logical_id == PATIENT_A if kind == "Patient" else logical_id.startswith("a-")


def outcome(words: str, code: str = "processing") -> Resource:
    """An OperationOutcome that says `words` everywhere it can."""
    issue = {"severity": "error", "code": code, "diagnostics": words, "details": {"text": words}}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def entry(resource: Any, base: str, mode: str | None = "match") -> Resource:
    """A Bundle entry of a search, or of a history if `mode` is None."""
    literal = f"{resource.get('resourceType')}/{resource.get('id')}" if isinstance(resource, dict) else "none"
    result: Resource = {"fullUrl": f"{base}/{literal}", "resource": resource}
    if mode is not None:
        return {**result, "search": {"mode": mode}}
    return {
        **result,
        "request": {"method": "PUT", "url": literal},
        "response": {"status": "200", "etag": 'W/"1"', "lastModified": "2026-01-01T09:00:00Z"},
    }


def bundle(kind: str, entries: list[Resource], base: str, **elements: Any) -> Resource:
    """A Bundle of the kind, with a self link."""
    return {
        "resourceType": "Bundle",
        "type": kind,
        "total": len(entries),
        "link": [{"relation": "self", "url": f"{base}/"}],
        "entry": entries,
        **elements,
    }
