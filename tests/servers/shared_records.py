"""Records that belong to no patient, and records that tie several patients together."""

from __future__ import annotations

from collections.abc import Iterator

from tests.servers.people import (
    IDENTIFIER_SYSTEM,
    PATIENT_A,
    PATIENT_B,
    PATIENTS,
    SHARED_MARKER,
    Resource,
)
from tests.servers.resource_builders import (
    MOMENT,
    PRACTITIONERS,
    add_marker,
    coded_concept,
    reference,
    survey_observation,
    text_concept,
)


def shared_records() -> Iterator[Resource]:
    """Records that belong to no patient."""
    yield {"resourceType": "Organization", "id": "organization-1", "active": True, "name": "Riverside Hospital"}
    yield {"resourceType": "Location", "id": "location-1", "status": "active", "name": "Riverside, ward 3"}
    for number, practitioner in enumerate(PRACTITIONERS, start=1):
        yield {
            "resourceType": "Practitioner",
            "id": practitioner,
            "identifier": [{"system": IDENTIFIER_SYSTEM, "value": f"doctor-{number}"}],
            "name": [{"family": f"Doctor{number}", "given": ["Test"]}],
        }
        yield {
            "resourceType": "PractitionerRole",
            "id": f"role-{number}",
            "practitioner": reference("Practitioner", practitioner),
            "organization": reference("Organization", "organization-1"),
        }
    yield {
        "resourceType": "Medication",
        "id": "medication-1",
        "code": {**coded_concept("http://www.nlm.nih.gov/research/umls/rxnorm", "861007"), "text": "metformin 500 mg"},
    }
    yield {
        "resourceType": "Device",
        "id": "device-without-patient",
        "status": "active",
        "type": text_concept("Blood pressure monitor of ward 3"),
    }


def records_across_patients() -> Iterator[Resource]:
    """Records with several patients, which are in the compartment of more than their subject."""
    a, b = reference("Patient", PATIENT_A), reference("Patient", PATIENT_B)
    yield add_marker(survey_observation(PATIENT_B, "by-pat-a", performer=[a]), SHARED_MARKER)
    yield add_marker(
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
    yield add_marker(
        {
            "resourceType": "Provenance",
            "id": "provenance-of-two",
            "target": [
                reference("Observation", f"{PATIENT_A}-smoking"),
                reference("Observation", f"{PATIENT_B}-smoking"),
            ],
            "recorded": MOMENT,
            "agent": [{"who": reference("Practitioner", "practitioner-1")}],
        },
        SHARED_MARKER,
    )
    yield {
        "resourceType": "Group",
        "id": "group-1",
        "type": "person",
        "actual": True,
        "name": "Everybody",
        "member": [{"entity": reference("Patient", patient)} for patient in PATIENTS],
    }
    yield {
        "resourceType": "List",
        "id": "list-of-practitioner-1",
        "status": "current",
        "mode": "working",
        "title": "My patients",
        "source": reference("Practitioner", "practitioner-1"),
        "entry": [{"item": reference("Patient", patient)} for patient in PATIENTS[::3]],
    }
