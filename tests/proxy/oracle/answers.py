"""What a response says, in the words of the oracle."""

from dataclasses import dataclass
from typing import Any

import httpx2

from tests.proxy.oracle.resources import Names, normalise
from tests.proxy.oracle.world import Expected, Key, Record, is_given
from tests.servers.people import Resource

# Kinds whose response says something of its own instead of records.
_WITHOUT_RECORDS = {"meta", "validate"}


@dataclass(frozen=True)
class Answer:
    """The status, what is shown, and the id of the record that was made or found; None if none is named."""

    status: int
    shown: list[tuple[Key, Record | None]]
    resource_id: str | None = None


def read_answer(kind: str, response: httpx2.Response, pages: list[Resource], names: Names) -> Answer:
    """The answer of a request by itself. `pages` are the body of the response and of those that follow it."""
    location = response.headers.get("location") or response.headers.get("content-location")
    shown = [one for page in pages for one in _read_body(kind, page, names)] if response.status_code < 300 else []
    return Answer(response.status_code, _order(shown), _id_in(location))


def read_entry(kind: str, part: Resource, names: Names) -> Answer:
    """The answer of an entry of a batch or transaction."""
    status = int(part["response"]["status"][:3])
    shown = _read_body(kind, part.get("resource"), names) if status < 300 else []
    return Answer(status, _order(shown), _id_in(part["response"].get("location")))


def fits(answer: Answer, expected: Expected) -> bool:
    """Whether an answer is what was expected. What has just been made has no name yet."""
    return answer.status == expected.status and _without_new_names(answer.shown) == _without_new_names(
        _order(list(expected.shown))
    )


def _without_new_names(shown: list[tuple[Key, Record | None]]) -> list[tuple[Key, Record | None]]:
    if len(shown) != 1:
        return shown
    (resource_type, name), record = shown[0]
    return [((resource_type, name if is_given(name) else "new"), record)]


def _order(shown: list[tuple[Key, Record | None]]) -> list[tuple[Key, Record | None]]:
    return sorted(((key, normalise(record)) for key, record in shown), key=repr)


def _id_in(location: str | None) -> str | None:
    return None if location is None else location.split("/_history")[0].rsplit("/", 1)[-1]


def _read_body(kind: str, body: Any, names: Names) -> list[tuple[Key, Record | None]]:
    if not body:
        return []
    if kind in _WITHOUT_RECORDS:
        assert body["resourceType"] in {"Parameters", "OperationOutcome"}
        return []
    if body["resourceType"] != "Bundle":
        return [names.read(body)]
    found = list[tuple[Key, Record | None]]()
    for entry in body.get("entry", []):
        resource = entry.get("resource")
        if resource is None:
            resource_type, resource_id = entry["request"]["url"].split("/")[-2:]
            found.append(((resource_type, names.name_of((resource_type, resource_id))), None))
        elif resource["resourceType"] in {"Observation", "Encounter"}:
            found.append(names.read(resource))
    return found
