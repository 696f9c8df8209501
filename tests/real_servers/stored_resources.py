"""The resources on each server under test, and simple conditions on whose they are."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from tests.servers.people import B_MARKER, MARKER_SYSTEM, OBSERVATION_CATEGORY, PATIENT_A, PATIENT_B, Resource
from tests.servers.population import population, transaction, with_absolute_subject

US_CORE_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
US_CORE_CONDITION = "http://hl7.org/fhir/us/core/CodeSystem/condition-category"
CONDITION_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"

# The elements that name the patient of a record, by type. A Provenance has only its targets.
_ABOUT = {
    "Patient": (),
    "Coverage": ("beneficiary",),
    "Task": ("for",),
    "Appointment": ("participant.actor",),
    "Group": ("member.entity",),
}
# The further elements of R4's compartments, as far as the population uses them.
_TAKES_PART = {"Observation": ("performer",)}

Condition = Callable[[Resource], bool]


def relative_url(resource: Resource) -> str:
    """`Type/id`."""
    return f"{resource['resourceType']}/{resource['id']}"


def additions() -> Resource:
    """A transaction with the records of A and B that this suite needs in addition to the population."""
    additional = [resource for patient in (PATIENT_A, PATIENT_B) for resource in _additions_for(patient)]
    return transaction([*additional, _parent("pat-a-relative", "pat-3-relative")])


def _parent(*related_persons: str) -> Resource:
    """The Person who stands for several patients."""
    links = [{"target": {"reference": f"RelatedPerson/{related_person}"}} for related_person in related_persons]
    return {"resourceType": "Person", "id": "parent", "link": links}


def _additions_for(patient: str) -> Iterable[Resource]:
    yield from (
        _add_marker(resource, patient)
        for resource in (*_categorised_records(patient), *_scanned_document(patient), _summary(patient))
    )


def _add_marker(resource: Resource, patient: str) -> Resource:
    return (
        {**resource, "meta": {"tag": [{"system": MARKER_SYSTEM, "code": B_MARKER}]}}
        if patient == PATIENT_B
        else resource
    )


def observation(patient: str, name: str, *codings: tuple[str, str]) -> Resource:
    """An Observation with these codings as categories; a survey by default.

    B's mark is not a tag, because HAPI keeps the tags of earlier versions, and tests change the patient.
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


def _categorised_records(patient: str) -> Iterable[Resource]:
    """Records with categories of US Core that carebundle does not generate."""
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


def _summary(patient: str) -> Resource:
    """A document whose section names a record of the same patient."""
    return {
        "resourceType": "Composition",
        "id": f"{patient}-summary",
        "status": "final",
        "type": {"text": "summary"},
        "subject": {"reference": f"Patient/{patient}"},
        "date": "2026-01-02",
        "author": [{"reference": "Practitioner/practitioner-3"}],
        "title": "Summary",
        "section": [{"title": "Results", "entry": [{"reference": f"Observation/{patient}-smoking"}]}],
    }


def _scanned_document(patient: str) -> Iterable[Resource]:
    """A Binary without a security context, and the document that refers to it."""
    yield {"resourceType": "Binary", "id": f"{patient}-scan", "contentType": "text/plain", "data": "c2Nhbg=="}
    yield {
        "resourceType": "DocumentReference",
        "id": f"{patient}-scanned",
        "status": "current",
        "subject": {"reference": f"Patient/{patient}"},
        "content": [{"attachment": {"contentType": "text/plain", "url": f"Binary/{patient}-scan"}}],
    }


@cache
def _loaded_resources() -> tuple[Resource, ...]:
    return (*population(), *(entry["resource"] for entry in additions()["entry"]))


def stored_resources(*, absolute: bool) -> tuple[Resource, ...]:
    """Every resource on a server. `absolute` says whether it also has those with absolute subjects."""
    written = with_absolute_subject("http://server.example/fhir") if absolute else []
    return (*_loaded_resources(), *written)


def of_type(resource_type: str, *conditions: Condition) -> Condition:
    """Resources of one type that meet all conditions."""
    return lambda resource: resource["resourceType"] == resource_type and all(holds(resource) for holds in conditions)


def about(*patients: str) -> Condition:
    """The records whose subject is one of these patients, and the patients themselves."""
    return lambda resource: _is_about(resource, patients)


def in_chart(*patients: str) -> Condition:
    """The records in R4's compartments of these patients: about them, or with their participation."""
    return lambda resource: (
        _is_about(resource, patients)
        or _refers_to_patient(resource, _TAKES_PART.get(resource["resourceType"], ()), patients)
    )


def by_practitioner(practitioner: str) -> Condition:
    """Observations that the practitioner performed."""
    return lambda resource: any(
        who.get("reference") == f"Practitioner/{practitioner}" for who in resource.get("performer", [])
    )


def categorised(*tokens: str) -> Condition:
    """Resources with one of the categories, each written as `system|code`."""
    return lambda resource: any(
        f"{coding['system']}|{coding['code']}" in tokens
        for category in resource.get("category", [])
        for coding in category.get("coding", [])
    )


def coded(*codes: str) -> Condition:
    """Resources with one of the codes."""
    return lambda resource: any(coding["code"] in codes for coding in resource.get("code", {}).get("coding", []))


def named(*literals: str) -> Condition:
    """Exactly the resources with these names."""
    return lambda resource: relative_url(resource) in literals


def either(*conditions: Condition) -> Condition:
    """Resources that meet one of the conditions."""
    return lambda resource: any(holds(resource) for holds in conditions)


def nothing(_: Resource) -> bool:
    """No resource at all."""
    return False


def _is_about(resource: Resource, patients: tuple[str, ...]) -> bool:
    if resource["resourceType"] == "Patient":
        return resource["id"] in patients
    return _refers_to_patient(resource, _ABOUT.get(resource["resourceType"], ("subject", "patient")), patients)


def _refers_to_patient(resource: Resource, paths: tuple[str, ...], patients: tuple[str, ...]) -> bool:
    references = {reference.partition("/_history/")[0] for path in paths for reference in _references(resource, path)}
    return any(reference.endswith(f"Patient/{patient}") for reference in references for patient in patients)


def _references(resource: Resource, path: str) -> list[str]:
    values: list[Any] = [resource]
    for name in path.split("."):
        values = [value[name] for value in values if name in value]
        values = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return [value["reference"] for value in values if "reference" in value]
