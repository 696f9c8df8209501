"""The synthetic patients: complete, always the same, and with marks on B's records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.servers.people import B_MARKER, PATIENT_A, PATIENT_B, PATIENTS, SHARED_MARKER, Resource
from tests.servers.population import population, population_transactions


def references(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for key, item in value.items():
                if key == "reference":
                    yield item.partition("/_history/")[0]
                else:
                    yield from references(item)
        case list():
            for item in value:
                yield from references(item)


def literal(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def test_there_are_at_least_twenty_patients_with_a_and_b_first() -> None:
    found = [resource["id"] for resource in population() if resource["resourceType"] == "Patient"]
    assert len(found) >= 20
    assert found == list(PATIENTS)
    assert found[:2] == [PATIENT_A, PATIENT_B]


def test_no_id_comes_twice() -> None:
    names = [literal(resource) for resource in population()]
    assert len(names) == len(set(names))


def test_a_reference_names_only_what_came_before() -> None:
    known: set[str] = set()
    for resource in population():
        assert set(references(resource)) <= known, literal(resource)
        known.add(literal(resource))


def test_it_is_the_same_every_time() -> None:
    first = json.dumps(population_transactions())
    population_transactions.cache_clear()
    assert json.dumps(population_transactions()) == first


def test_each_patient_has_observations_of_each_category() -> None:
    for patient in PATIENTS:
        categories = {
            coding["code"]
            for resource in population()
            if resource["resourceType"] == "Observation" and f"Patient/{patient}" in references(resource)
            for category in resource["category"]
            for coding in category["coding"]
        }
        assert categories >= {"laboratory", "vital-signs", "social-history"}, patient


def test_what_names_b_is_marked_unless_it_lists_everybody() -> None:
    for resource in population():
        if f"Patient/{PATIENT_B}" in references(resource):
            marked = any(marker in json.dumps(resource) for marker in (B_MARKER, SHARED_MARKER))
            assert marked or resource["resourceType"] in {"Group", "List"}, literal(resource)


def test_what_names_a_is_never_marked_as_bs() -> None:
    for resource in population():
        if resource["id"].startswith(PATIENT_A) or f"Patient/{PATIENT_A}" in references(resource):
            assert B_MARKER not in json.dumps(resource), literal(resource)
