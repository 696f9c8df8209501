"""The records of one visit of each patient, as carebundle generates them, under ids of our own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from carebundle import generate_bundle, to_json

from tests.servers.people import (
    B_MARKER,
    IDENTIFIER_SYSTEM,
    PATIENT_B,
    Resource,
)
from tests.servers.resource_builders import reference

_PROFILES = ("type2_diabetes", "hypertension", "ckd_stage3", "anaemia", "healthy")
_PANELS = ("hba1c", "lipid")


def visit_records(patient: str, number: int, practitioner: str) -> Iterator[Resource]:
    """The records that carebundle generates for one visit, under ids of the population."""
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
        "generalPractitioner": [reference("Practitioner", practitioner)],
        "managingOrganization": reference("Organization", "organization-1"),
    }


def _rank(literal: str) -> int:
    """The order of a resource: Encounters before their records, reports after their results."""
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
