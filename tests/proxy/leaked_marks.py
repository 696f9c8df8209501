"""Searches responses for another patient's data, in every encoding that it could have."""

import base64
import json
from collections.abc import Iterable
from typing import Any

import httpx2

from tests.servers.people import B_MARKER, PATIENT_B

SHARED_RECORD = f"Observation/{PATIENT_B}-by-pat-a"
"""About B and performed by A, so it is in A's compartment (edge case 108)."""

PATIENT_B_MARKS = (B_MARKER, f"Patient/{PATIENT_B}", f"{PATIENT_B}-")
"""What must not occur in a response to A's app: the marker of B's resources, B's address, and their ids."""


def find_leaks(response: httpx2.Response, marks: Iterable[str] = (B_MARKER,)) -> list[str]:
    """Where one of the marks occurs: in the head, in the body, or in the decoded JSON."""
    head = "\n".join(
        f"{name}: {value}" for name, value in [("reason", response.reason_phrase), *response.headers.items()]
    )
    decoded_texts = "".join(_iter_texts(_parse_json(response.content)))
    found = []
    for mark in marks:
        if mark in head:
            found.append(f"{mark} in the head")
        if any(encoding in response.content for encoding in _encodings(mark)):
            found.append(f"{mark} in the body")
        if mark in decoded_texts:
            found.append(f"{mark} in the JSON")
    return found


def _encodings(mark: str) -> list[bytes]:
    """The mark in UTF-8, in UTF-16, and in base64 at each of the three possible offsets."""
    encoded = [mark.encode(), mark.encode("utf-16-le"), mark.encode("utf-16-be")]
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + mark.encode())
        encoded.append(text[(0, 2, 3)[offset] : len(text) // 4 * 4 - 4])
    return encoded


def _parse_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _iter_texts(value: Any) -> Iterable[str]:
    """Every member name and string of a JSON value, each followed by a line feed."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, str):
            yield value + "\n"


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
