"""The synthetic patients of every test server: always the same resources under the same ids."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from tests.servers.other_records import other_records
from tests.servers.people import (
    B_MARKER,
    PATIENT_A,
    PATIENT_B,
    PATIENTS,
    Resource,
)
from tests.servers.resource_builders import PRACTITIONERS, add_marker, relative_url, survey_observation
from tests.servers.shared_records import records_across_patients, shared_records
from tests.servers.visit_records import visit_records


def population() -> list[Resource]:
    """All resources with their ids, in an order in which references lead to earlier resources only."""
    return [entry["resource"] for bundle in population_transactions() for entry in bundle["entry"]]


@cache
def population_transactions() -> tuple[Resource, ...]:
    """The population as transaction Bundles of PUTs, to be sent in this order."""
    groups = [
        list(shared_records()),
        *(list(_patient(patient)) for patient in PATIENTS),
        list(records_across_patients()),
    ]
    return tuple(transaction(group) for group in groups)


def transaction(resources: list[Resource]) -> Resource:
    """A transaction that puts each resource under its own id."""
    entries = [
        {
            "fullUrl": f"urn:smart-fhir-gateway:{relative_url(resource)}",
            "resource": resource,
            "request": {"method": "PUT", "url": relative_url(resource)},
        }
        for resource in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def with_absolute_subject(base_url: str) -> list[Resource]:
    """Observations whose subject is written as `base_url/Patient/id`; HAPI refuses to store these (HAPI-0507)."""
    return [
        survey_observation(PATIENT_A, "absolute", subject={"reference": f"{base_url}/Patient/{PATIENT_A}"}),
        add_marker(
            survey_observation(PATIENT_B, "absolute", subject={"reference": f"{base_url}/Patient/{PATIENT_B}"}),
            B_MARKER,
        ),
    ]


def _patient(patient: str) -> Iterator[Resource]:
    """One patient's record."""
    number = PATIENTS.index(patient)
    practitioner = PRACTITIONERS[number % len(PRACTITIONERS)]
    for resource in (*visit_records(patient, number, practitioner), *other_records(patient, practitioner)):
        yield add_marker(resource, B_MARKER) if patient == PATIENT_B else resource
