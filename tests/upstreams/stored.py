"""What lies on each server under test, and who it belongs to: written as plainly as possible, from elements by name."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from tests.servers.people import B_MARKER, MARKER_SYSTEM, OBSERVATION_CATEGORY, PATIENT_A, PATIENT_B, Resource
from tests.servers.population import population, transaction, with_absolute_subject

US_CORE_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
US_CORE_CONDITION = "http://hl7.org/fhir/us/core/CodeSystem/condition-category"
CONDITION_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"

# The elements that say whom a record is about, by type; a Provenance is told by its targets.
_ABOUT = {
    "Patient": (),
    "Coverage": ("beneficiary",),
    "Task": ("for",),
    "Appointment": ("participant.actor",),
    "Group": ("member.entity",),
}
# What R4 adds to them, so far as the population uses it.
_TAKES_PART = {"Observation": ("performer",)}

Where = Callable[[Resource], bool]


def literal(resource: Resource) -> str:
    """`Type/id`."""
    return f"{resource['resourceType']}/{resource['id']}"


def additions() -> Resource:
    """A transaction of what this suite needs beside the population: A's records, and B's of the same kind."""
    return transaction([one for patient in (PATIENT_A, PATIENT_B) for one in _of(patient)])


def _of(patient: str) -> Iterable[Resource]:
    yield from (_marked(one, patient) for one in (*_categorised(patient), *_scanned(patient)))


def _marked(resource: Resource, patient: str) -> Resource:
    return (
        {**resource, "meta": {"tag": [{"system": MARKER_SYSTEM, "code": B_MARKER}]}}
        if patient == PATIENT_B
        else resource
    )


def observation(patient: str, name: str, *codings: tuple[str, str]) -> Resource:
    """A survey Observation, or one of the categories named.

    Its mark is no tag: HAPI keeps the tags of earlier versions, and this one moves between patients.
    """
    codings = codings or ((OBSERVATION_CATEGORY, "survey"),)
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "category": [{"coding": [{"system": system, "code": code}]} for system, code in codings],
        "code": {"text": B_MARKER if patient == PATIENT_B else name},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-01-02T09:00:00Z",
    }


def _categorised(patient: str) -> Iterable[Resource]:
    """The categories of US Core that carebundle does not write, one of them as a second one."""
    yield observation(patient, f"{patient}-sdoh", (OBSERVATION_CATEGORY, "survey"), (US_CORE_CATEGORY, "sdoh"))
    yield observation(patient, f"{patient}-foreign-lab", ("http://example.org/categories", "laboratory"))
    for name, system in (
        ("encounter-diagnosis", CONDITION_CATEGORY),
        ("health-concern", US_CORE_CONDITION),
    ):
        yield {
            "resourceType": "Condition",
            "id": f"{patient}-{name}",
            "category": [{"coding": [{"system": system, "code": name}]}],
            "code": {"text": name},
            "subject": {"reference": f"Patient/{patient}"},
        }


def _scanned(patient: str) -> Iterable[Resource]:
    """A Binary without a security context, and the document that points at it."""
    yield {"resourceType": "Binary", "id": f"{patient}-scan", "contentType": "text/plain", "data": "c2Nhbg=="}
    yield {
        "resourceType": "DocumentReference",
        "id": f"{patient}-scanned",
        "status": "current",
        "subject": {"reference": f"Patient/{patient}"},
        "content": [{"attachment": {"contentType": "text/plain", "url": f"Binary/{patient}-scan"}}],
    }


@cache
def _everything() -> tuple[Resource, ...]:
    return (*population(), *(entry["resource"] for entry in additions()["entry"]))


def stored(*, absolute: bool) -> tuple[Resource, ...]:
    """Every resource; `absolute` says whether the server holds those with absolute subjects as well."""
    written = with_absolute_subject("http://server.example/fhir") if absolute else []
    return (*_everything(), *written)


def of_type(resource_type: str, *conditions: Where) -> Where:
    """Resources of one type that meet all conditions."""
    return lambda one: one["resourceType"] == resource_type and all(holds(one) for holds in conditions)


def about(*patients: str) -> Where:
    """Records that say by their subject that they are one of these patients', and the patients themselves."""
    return lambda one: _is_about(one, patients)


def in_chart(*patients: str) -> Where:
    """The same, and what they take part in: R4's compartment."""
    return lambda one: _is_about(one, patients) or _refers(one, _TAKES_PART.get(one["resourceType"], ()), patients)


def by_practitioner(practitioner: str) -> Where:
    """Observations that the practitioner performed."""
    return lambda one: any(who.get("reference") == f"Practitioner/{practitioner}" for who in one.get("performer", []))


def categorised(*tokens: str) -> Where:
    """Resources with one of the categories, each written as `system|code`."""
    return lambda one: any(
        f"{coding['system']}|{coding['code']}" in tokens
        for category in one.get("category", [])
        for coding in category.get("coding", [])
    )


def coded(*codes: str) -> Where:
    """Resources with one of the codes."""
    return lambda one: any(coding["code"] in codes for coding in one.get("code", {}).get("coding", []))


def named(*literals: str) -> Where:
    """Exactly these."""
    return lambda one: literal(one) in literals


def either(*conditions: Where) -> Where:
    """Resources that meet one of the conditions."""
    return lambda one: any(holds(one) for holds in conditions)


def nothing(_: Resource) -> bool:
    """No resource at all."""
    return False


def _is_about(resource: Resource, patients: tuple[str, ...]) -> bool:
    if resource["resourceType"] == "Patient":
        return resource["id"] in patients
    return _refers(resource, _ABOUT.get(resource["resourceType"], ("subject", "patient")), patients)


def _refers(resource: Resource, paths: tuple[str, ...], patients: tuple[str, ...]) -> bool:
    found = {reference.partition("/_history/")[0] for path in paths for reference in _references(resource, path)}
    return any(reference.endswith(f"Patient/{patient}") for reference in found for patient in patients)


def _references(resource: Resource, path: str) -> list[str]:
    values: list[Any] = [resource]
    for name in path.split("."):
        values = [value[name] for value in values if name in value]
        values = [one for value in values for one in (value if isinstance(value, list) else [value])]
    return [value["reference"] for value in values if "reference" in value]
