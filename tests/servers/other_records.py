"""Records of a patient of the types that carebundle does not generate."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from tests.servers.people import (
    B_MARKER,
    CONFIDENTIALITY,
    OBSERVATION_CATEGORY,
    PATIENT_B,
    Resource,
)
from tests.servers.resource_builders import DAY, MOMENT, coded_concept, reference, survey_observation, text_concept


def other_records(patient: str, practitioner: str) -> Iterator[Resource]:
    """Records of types that carebundle does not generate, in which unusual elements refer to the patient."""
    who, doctor = reference("Patient", patient), reference("Practitioner", practitioner)
    first_observation = reference("Observation", f"{patient}-smoking")
    yield survey_observation(
        patient,
        "smoking",
        category=[coded_concept(OBSERVATION_CATEGORY, "social-history")],
        code=coded_concept("http://loinc.org", "72166-2"),
        valueCodeableConcept=coded_concept("http://snomed.info/sct", "266919005"),
        performer=[doctor],
    )
    restricted = survey_observation(
        patient,
        "restricted",
        category=[coded_concept(OBSERVATION_CATEGORY, "laboratory")],
        meta={"security": [{"system": CONFIDENTIALITY, "code": "R"}]},
    )
    yield restricted
    yield survey_observation(patient, "versioned", subject={"reference": f"Patient/{patient}/_history/1"})
    yield {
        "resourceType": "MedicationRequest",
        "id": f"{patient}-shared-medication",
        "status": "active",
        "intent": "order",
        "medicationReference": reference("Medication", "medication-1"),
        "subject": who,
        "requester": doctor,
    }
    yield {
        "resourceType": "Device",
        "id": f"{patient}-device",
        "status": "active",
        "type": text_concept("Glucose meter"),
        "patient": who,
    }
    yield {
        "resourceType": "Immunization",
        "id": f"{patient}-immunization",
        "status": "completed",
        "vaccineCode": coded_concept("http://hl7.org/fhir/sid/cvx", "140"),
        "patient": who,
        "occurrenceDateTime": DAY,
    }
    yield {
        "resourceType": "Coverage",
        "id": f"{patient}-coverage",
        "status": "active",
        "beneficiary": who,
        "payor": [reference("Organization", "organization-1")],
    }
    yield {
        "resourceType": "RelatedPerson",
        "id": f"{patient}-relative",
        "active": True,
        "patient": who,
        "relationship": [coded_concept("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "MTH")],
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
        "recorded": MOMENT,
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
    """A document and its Binary, which belongs to the patient only through its security context."""
    marker = B_MARKER if patient == PATIENT_B else "letter"
    yield {
        "resourceType": "Binary",
        "id": f"{patient}-binary",
        "contentType": "text/plain",
        "securityContext": reference("Patient", patient),
        "data": base64.b64encode(f"Letter of {patient}: {marker}\n".encode()).decode(),
    }
    yield {
        "resourceType": "DocumentReference",
        "id": f"{patient}-document",
        "status": "current",
        "type": coded_concept("http://loinc.org", "34133-9"),
        "subject": reference("Patient", patient),
        "date": MOMENT,
        "content": [{"attachment": {"contentType": "text/plain", "url": f"Binary/{patient}-binary"}}],
    }
