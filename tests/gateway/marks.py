"""Looking for another patient's data in an answer, in every disguise that the bytes could wear."""

import base64
import json
from collections.abc import Iterable
from typing import Any

import httpx2

from tests.servers.population import B_MARKER, PATIENT_B

SHARED_RECORD = f"Observation/{PATIENT_B}-by-pat-a"
"""About B, performed by A: A's compartment holds it (edge case 108)."""

A_STRANGER = (B_MARKER, f"Patient/{PATIENT_B}", f"{PATIENT_B}-")
"""What stands in nothing that A's app may see: the marker of B's records, B's address, and the ids of B's records."""


def leaks(answer: httpx2.Response, marks: Iterable[str] = (B_MARKER,)) -> list[str]:
    """Where the answer shows one of the marks: in its head, in its body, in the text that its JSON stands for."""
    head = "\n".join(f"{name}: {value}" for name, value in [("reason", answer.reason_phrase), *answer.headers.items()])
    read_as = "".join(_texts(_json(answer.content)))
    found = []
    for mark in marks:
        if mark in head:
            found.append(f"{mark} in the head")
        if any(disguise in answer.content for disguise in _disguises(mark)):
            found.append(f"{mark} in the body")
        if mark in read_as:
            found.append(f"{mark} in the JSON")
    return found


def _disguises(mark: str) -> list[bytes]:
    """The mark as UTF-8, as UTF-16, and as base64 at each of the three ways it can be cut."""
    encoded = [mark.encode(), mark.encode("utf-16-le"), mark.encode("utf-16-be")]
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + mark.encode())
        encoded.append(text[(0, 2, 3)[offset] : len(text) // 4 * 4 - 4])
    return encoded


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _texts(value: Any) -> Iterable[str]:
    """Every name and text of a JSON value, each on a line."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            pending += [*one, *one.values()]
        elif isinstance(one, list):
            pending += one
        elif isinstance(one, str):
            yield one + "\n"


def of_a_alone(answer: httpx2.Response, status: int = 200) -> bool:
    """Whether it has the status and holds nothing of B's: no mark, and no record under one of B's ids."""
    strangers = {one for one in ids_in(answer) if f"/{PATIENT_B}" in one and one != SHARED_RECORD}
    assert (answer.status_code, leaks(answer), strangers) == (status, [], set()), answer.text[:500]
    return True


def refused(answer: httpx2.Response, status: int, reason: str) -> bool:
    """Whether it is a refusal with this status and reason, and silent about B."""
    assert (answer.status_code, reason_of(answer), leaks(answer)) == (status, reason, []), answer.text[:500]
    return True


def reason_of(answer: httpx2.Response) -> str:
    """The stable word of an OperationOutcome of ours."""
    word: str = answer.json()["issue"][0]["details"]["coding"][0]["code"]
    return word


def resources_in(answer: httpx2.Response, mode: str | None = None) -> list[dict[str, Any]]:
    """The resources of a Bundle, all of them or those of one search mode."""
    entries = answer.json().get("entry", [])
    return [one["resource"] for one in entries if mode is None or one.get("search", {}).get("mode") == mode]


def ids_in(answer: httpx2.Response, mode: str | None = None) -> set[str]:
    """`Type/id` of each resource of a Bundle."""
    return {f"{one['resourceType']}/{one['id']}" for one in resources_in(answer, mode) if "id" in one}


def link_of(answer: httpx2.Response, relation: str) -> str | None:
    """The URL of a Bundle's link, if there is one."""
    links = answer.json().get("link", [])
    return next((link["url"] for link in links if link["relation"] == relation), None)
