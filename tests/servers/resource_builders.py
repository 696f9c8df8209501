"""Small parts of FHIR resources, from which the population is built."""

from __future__ import annotations

from typing import Any

from tests.servers.people import (
    MARKER_SYSTEM,
    OBSERVATION_CATEGORY,
    Resource,
)

PRACTITIONERS = ("practitioner-1", "practitioner-2", "practitioner-3")
DAY = "2026-01-01"
MOMENT = "2026-01-01T09:00:00Z"


def relative_url(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def reference(kind: str, logical_id: str) -> Resource:
    return {"reference": f"{kind}/{logical_id}"}


def text_concept(words: str) -> Resource:
    return {"text": words}


def coded_concept(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def add_marker(resource: Resource, marker: str) -> Resource:
    tags = [*resource.get("meta", {}).get("tag", ()), {"system": MARKER_SYSTEM, "code": marker}]
    return {**resource, "meta": {**resource.get("meta", {}), "tag": tags}}


def survey_observation(patient: str, name: str, **elements: Any) -> Resource:
    return {
        "resourceType": "Observation",
        "id": f"{patient}-{name}",
        "status": "final",
        "category": [coded_concept(OBSERVATION_CATEGORY, "survey")],
        "code": text_concept(name),
        "subject": reference("Patient", patient),
        "effectiveDateTime": MOMENT,
        **elements,
    }
