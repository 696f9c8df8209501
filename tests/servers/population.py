"""The synthetic patients of every test server: always the same resources under the same ids."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from carebundle import generate_bundle, to_json

from tests.servers.people import (
    B_MARKER,
    CONFIDENTIALITY,
    IDENTIFIER_SYSTEM,
    MARKER_SYSTEM,
    OBSERVATION_CATEGORY,
    PATIENT_A,
    PATIENT_B,
    PATIENTS,
    SHARED_MARKER,
    Resource,
)

__all__ = [
    "B_MARKER",
    "PATIENTS",
    "PATIENT_A",
    "PATIENT_B",
    "SHARED_MARKER",
    "Resource",
    "bundles",
    "population",
    "transaction",
    "with_absolute_subject",
]

_PROFILES = ("type2_diabetes", "hypertension", "ckd_stage3", "anaemia", "healthy")
_PANELS = ("hba1c", "lipid")
_PRACTITIONERS = ("practitioner-1", "practitioner-2", "practitioner-3")
_DAY = "2026-01-01"
_MOMENT = "2026-01-01T09:00:00Z"


def population() -> list[Resource]:
    """All resources, each with its id, ordered so that a reference names only what came before."""
    return [entry["resource"] for bundle in bundles() for entry in bundle["entry"]]


@cache
def bundles() -> tuple[Resource, ...]:
    """The population as transaction Bundles of PUTs, to be sent in this order."""
    groups = [list(_shared()), *(list(_patient(patient)) for patient in PATIENTS), list(_across_patients())]
    return tuple(transaction(group) for group in groups)


def transaction(resources: list[Resource]) -> Resource:
    """A transaction that puts each resource under its own id."""
    entries = [
        {
            "fullUrl": f"urn:smart-fhir-gateway:{_literal(resource)}",
            "resource": resource,
            "request": {"method": "PUT", "url": _literal(resource)},
        }
        for resource in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def with_absolute_subject(base_url: str) -> list[Resource]:
    """Observations whose subject is written as `base_url/Patient/id`; HAPI refuses to store these (HAPI-0507)."""
    return [
        _observation(PATIENT_A, "absolute", subject={"reference": f"{base_url}/Patient/{PATIENT_A}"}),
        _mark(
            _observation(PATIENT_B, "absolute", subject={"reference": f"{base_url}/Patient/{PATIENT_B}"}),
            B_MARKER,
        ),
    ]


def _literal(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _ref(kind: str, logical_id: str) -> Resource:
    return {"reference": f"{kind}/{logical_id}"}


def _text(words: str) -> Resource:
    return {"text": words}


def _coding(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def _mark(resource: Resource, marker: str) -> Resource:
    tags = [*resource.get("meta", {}).get("tag", ()), {"system": MARKER_SYSTEM, "code": marker}]
    return {**resource, "meta": {**resource.get("meta", {}), "tag": tags}}


def _shared() -> Iterator[Resource]:
    """What belongs to no patient."""
    yield {"resourceType": "Organization", "id": "organization-1", "active": True, "name": "Riverside Hospital"}
    yield {"resourceType": "Location", "id": "location-1", "status": "active", "name": "Riverside, ward 3"}
    for number, practitioner in enumerate(_PRACTITIONERS, start=1):
        yield {
            "resourceType": "Practitioner",
            "id": practitioner,
            "identifier": [{"system": IDENTIFIER_SYSTEM, "value": f"doctor-{number}"}],
            "name": [{"family": f"Doctor{number}", "given": ["Test"]}],
        }
        yield {
            "resourceType": "PractitionerRole",
            "id": f"role-{number}",
            "practitioner": _ref("Practitioner", practitioner),
            "organization": _ref("Organization", "organization-1"),
        }
    yield {
        "resourceType": "Medication",
        "id": "medication-1",
        "code": {**_coding("http://www.nlm.nih.gov/research/umls/rxnorm", "861007"), "text": "metformin 500 mg"},
    }
    yield {
        "resourceType": "Device",
        "id": "device-without-patient",
        "status": "active",
        "type": _text("Blood pressure monitor of ward 3"),
    }


def _patient(patient: str) -> Iterator[Resource]:
    """One patient's record."""
    number = PATIENTS.index(patient)
    practitioner = _PRACTITIONERS[number % len(_PRACTITIONERS)]
    for resource in (*_clinical(patient, number, practitioner), *_beside(patient, practitioner)):
        yield _mark(resource, B_MARKER) if patient == PATIENT_B else resource


def _clinical(patient: str, number: int, practitioner: str) -> Iterator[Resource]:
    """What carebundle writes about one visit, under our ids."""
    generated = generate_bundle(
        profile=_PROFILES[number % len(_PROFILES)], seed=1000 + number, sex="FM"[number % 2], panels=_PANELS
    )
    bundle = json.loads(to_json(generated))
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for entry in bundle["entry"]:
        kind = entry["resource"]["resourceType"]
        counts[kind] = counts.get(kind, 0) + 1
        match kind:
            case "Patient":
                names[entry["fullUrl"]] = f"Patient/{patient}"
            case "Practitioner":
                names[entry["fullUrl"]] = f"Practitioner/{practitioner}"
            case _:
                names[entry["fullUrl"]] = f"{kind}/{patient}-{kind.lower()}-{counts[kind]}"
    resources = {names[entry["fullUrl"]]: _renamed(entry["resource"], names) for entry in bundle["entry"]}
    yield _identity(resources.pop(f"Patient/{patient}"), patient, practitioner)
    del resources[f"Practitioner/{practitioner}"]
    for literal in sorted(resources, key=_rank):
        kind, _, logical_id = literal.partition("/")
        yield {"resourceType": kind, "id": logical_id, **resources[literal]}


def _identity(resource: Resource, patient: str, practitioner: str) -> Resource:
    name = [{"use": "official", "family": B_MARKER, "given": ["Berta"]}] if patient == PATIENT_B else resource["name"]
    return {
        "resourceType": "Patient",
        "id": patient,
        **resource,
        "identifier": [*resource["identifier"], {"system": IDENTIFIER_SYSTEM, "value": f"mrn-{patient}"}],
        "name": name,
        "generalPractitioner": [_ref("Practitioner", practitioner)],
        "managingOrganization": _ref("Organization", "organization-1"),
    }


def _rank(literal: str) -> int:
    """Encounters before what happened in them, reports after what they report."""
    kind = literal.partition("/")[0]
    order = ("Encounter", "Condition", "AllergyIntolerance", "Observation", "MedicationRequest", "DiagnosticReport")
    return order.index(kind) if kind in order else len(order)


def _renamed(value: Any, names: dict[str, str]) -> Any:
    match value:
        case {"reference": str(reference)}:
            return {**value, "reference": names.get(reference, reference)}
        case dict():
            return {key: _renamed(item, names) for key, item in value.items()}
        case list():
            return [_renamed(item, names) for item in value]
        case _:
            return value


def _observation(patient: str, name: str, **elements: Any) -> Resource:
    return {
        "resourceType": "Observation",
        "id": f"{patient}-{name}",
        "status": "final",
        "category": [_coding(OBSERVATION_CATEGORY, "survey")],
        "code": _text(name),
        "subject": _ref("Patient", patient),
        "effectiveDateTime": _MOMENT,
        **elements,
    }


def _beside(patient: str, practitioner: str) -> Iterator[Resource]:
    """What carebundle lacks: the resource types whose compartment hangs on unusual elements."""
    who, doctor = _ref("Patient", patient), _ref("Practitioner", practitioner)
    first_observation = _ref("Observation", f"{patient}-smoking")
    yield _observation(
        patient,
        "smoking",
        category=[_coding(OBSERVATION_CATEGORY, "social-history")],
        code=_coding("http://loinc.org", "72166-2"),
        valueCodeableConcept=_coding("http://snomed.info/sct", "266919005"),
        performer=[doctor],
    )
    restricted = _observation(
        patient,
        "restricted",
        category=[_coding(OBSERVATION_CATEGORY, "laboratory")],
        meta={"security": [{"system": CONFIDENTIALITY, "code": "R"}]},
    )
    yield restricted
    yield _observation(patient, "versioned", subject={"reference": f"Patient/{patient}/_history/1"})
    yield {
        "resourceType": "MedicationRequest",
        "id": f"{patient}-shared-medication",
        "status": "active",
        "intent": "order",
        "medicationReference": _ref("Medication", "medication-1"),
        "subject": who,
        "requester": doctor,
    }
    yield {
        "resourceType": "Device",
        "id": f"{patient}-device",
        "status": "active",
        "type": _text("Glucose meter"),
        "patient": who,
    }
    yield {
        "resourceType": "Immunization",
        "id": f"{patient}-immunization",
        "status": "completed",
        "vaccineCode": _coding("http://hl7.org/fhir/sid/cvx", "140"),
        "patient": who,
        "occurrenceDateTime": _DAY,
    }
    yield {
        "resourceType": "Coverage",
        "id": f"{patient}-coverage",
        "status": "active",
        "beneficiary": who,
        "payor": [_ref("Organization", "organization-1")],
    }
    yield {
        "resourceType": "RelatedPerson",
        "id": f"{patient}-relative",
        "active": True,
        "patient": who,
        "relationship": [_coding("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "MTH")],
    }
    yield {
        "resourceType": "Task",
        "id": f"{patient}-task",
        "status": "requested",
        "intent": "order",
        "for": who,
        "owner": doctor,
    }
    yield {
        "resourceType": "Provenance",
        "id": f"{patient}-provenance",
        "target": [first_observation],
        "recorded": _MOMENT,
        "agent": [{"who": doctor}],
    }
    yield from _document(patient)
    yield {
        "resourceType": "Appointment",
        "id": f"{patient}-appointment",
        "status": "booked",
        "start": "2026-03-01T09:00:00Z",
        "end": "2026-03-01T09:30:00Z",
        "participant": [{"actor": who, "status": "accepted"}, {"actor": doctor, "status": "accepted"}],
    }
    yield {
        "resourceType": "CareTeam",
        "id": f"{patient}-careteam",
        "status": "active",
        "subject": who,
        "participant": [{"member": doctor}],
    }
    yield {
        "resourceType": "List",
        "id": f"{patient}-list",
        "status": "current",
        "mode": "working",
        "subject": who,
        "entry": [{"item": first_observation}],
    }


def _document(patient: str) -> Iterator[Resource]:
    """A document and its content, which is nobody's but by its security context."""
    marker = B_MARKER if patient == PATIENT_B else "letter"
    yield {
        "resourceType": "Binary",
        "id": f"{patient}-binary",
        "contentType": "text/plain",
        "securityContext": _ref("Patient", patient),
        "data": base64.b64encode(f"Letter of {patient}: {marker}\n".encode()).decode(),
    }
    yield {
        "resourceType": "DocumentReference",
        "id": f"{patient}-document",
        "status": "current",
        "type": _coding("http://loinc.org", "34133-9"),
        "subject": _ref("Patient", patient),
        "date": _MOMENT,
        "content": [{"attachment": {"contentType": "text/plain", "url": f"Binary/{patient}-binary"}}],
    }


def _across_patients() -> Iterator[Resource]:
    """What ties A and B together: where the compartment and the subject part."""
    a, b = _ref("Patient", PATIENT_A), _ref("Patient", PATIENT_B)
    yield _mark(_observation(PATIENT_B, "by-pat-a", performer=[a]), SHARED_MARKER)
    yield _mark(
        {
            "resourceType": "Appointment",
            "id": "appointment-of-two",
            "status": "booked",
            "start": "2026-03-02T09:00:00Z",
            "end": "2026-03-02T09:30:00Z",
            "participant": [{"actor": a, "status": "accepted"}, {"actor": b, "status": "accepted"}],
        },
        SHARED_MARKER,
    )
    yield _mark(
        {
            "resourceType": "Provenance",
            "id": "provenance-of-two",
            "target": [_ref("Observation", f"{PATIENT_A}-smoking"), _ref("Observation", f"{PATIENT_B}-smoking")],
            "recorded": _MOMENT,
            "agent": [{"who": _ref("Practitioner", "practitioner-1")}],
        },
        SHARED_MARKER,
    )
    yield {
        "resourceType": "Group",
        "id": "group-1",
        "type": "person",
        "actual": True,
        "name": "Everybody",
        "member": [{"entity": _ref("Patient", patient)} for patient in PATIENTS],
    }
    yield {
        "resourceType": "List",
        "id": "list-of-practitioner-1",
        "status": "current",
        "mode": "working",
        "title": "My patients",
        "source": _ref("Practitioner", "practitioner-1"),
        "entry": [{"item": _ref("Patient", patient)} for patient in PATIENTS[::3]],
    }
