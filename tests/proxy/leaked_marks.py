"""Searches responses for another patient's data, in every encoding that it could have."""

from collections.abc import Iterable
from typing import Any

import httpx2

from gateway.commands.selftesting.marks import find_marks
from tests.servers.people import B_MARKER, PATIENT_B

SHARED_RECORD = f"Observation/{PATIENT_B}-by-pat-a"
"""About B and performed by A, so it is in A's compartment (edge case 108)."""

PATIENT_B_MARKS = (B_MARKER, f"Patient/{PATIENT_B}", f"{PATIENT_B}-")
"""What must not occur in a response to A's app: the marker of B's resources, B's address, and their ids."""


def find_leaks(response: httpx2.Response, marks: Iterable[str] = (B_MARKER,)) -> list[str]:
    """Where one of the marks occurs: in the head, in the body, or in the decoded JSON."""
    return find_marks(marks, response.headers, response.content, response.reason_phrase)


def shows_only_patient_a(response: httpx2.Response, status: int = 200) -> bool:
    """Assert the status, and that nothing of B occurs: no mark, and no resource with one of B's ids."""
    foreign_ids = {name for name in ids_in(response) if f"/{PATIENT_B}" in name and name != SHARED_RECORD}
    assert (response.status_code, find_leaks(response), foreign_ids) == (status, [], set()), response.text[:500]
    return True


def is_refused(response: httpx2.Response, status: int, reason: str) -> bool:
    """Assert that this is a refusal with this status and reason, and that nothing of B occurs."""
    assert (response.status_code, refusal_reason(response), find_leaks(response)) == (status, reason, []), (
        response.text[:500]
    )
    return True


def refusal_reason(response: httpx2.Response) -> str:
    """The reason code in an OperationOutcome of the gateway."""
    reason: str = response.json()["issue"][0]["details"]["coding"][0]["code"]
    return reason


def resources_in(response: httpx2.Response, mode: str | None = None) -> list[dict[str, Any]]:
    """The resources of a Bundle, all of them or those of one search mode."""
    entries = response.json().get("entry", [])
    return [entry["resource"] for entry in entries if mode is None or entry.get("search", {}).get("mode") == mode]


def ids_in(response: httpx2.Response, mode: str | None = None) -> set[str]:
    """`Type/id` of each resource of a Bundle."""
    return {
        f"{resource['resourceType']}/{resource['id']}" for resource in resources_in(response, mode) if "id" in resource
    }


def link_of(response: httpx2.Response, relation: str) -> str | None:
    """The URL of a Bundle's link, if there is one."""
    links = response.json().get("link", [])
    return next((link["url"] for link in links if link["relation"] == relation), None)
