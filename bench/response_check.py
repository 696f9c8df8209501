"""Checks a response before any load is sent: the right resource, no data of another patient, and its links."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from bench.bodies import BASE, PATIENT
from bench.servers import PUBLIC_BASE, Server, get, send


class WrongResponse(Exception):
    """A response is not the one that the row is about, so measuring it would compare nothing."""


def fetch_resource(server: Server, path: str, headers: dict[str, str]) -> dict[str, Any]:
    """The resource of a GET. Raises `WrongResponse` for any status but 200."""
    return _read_resource(server, path, 200, *get(server, path, headers))


def write_resource(server: Server, method: str, path: str, body: str, headers: dict[str, str]) -> dict[str, Any]:
    """The resource that a write responds with. Raises `WrongResponse` unless it was updated or created."""
    content = headers | {"Content-Type": "application/fhir+json"}
    answer = send(server, method, path, content, body.encode())
    is_create = method == "POST" and path != BASE
    return _read_resource(server, path, 201 if is_create else 200, *answer)


def check_answers(resource: dict[str, Any], answers: int) -> None:
    """Raise `WrongResponse` unless each of so many requests of a Bundle is answered by an Observation."""
    entries = resource.get("entry", [])
    if len(entries) != answers:
        raise WrongResponse(f"the response has {len(entries)} answers instead of {answers}")
    for entry in entries:
        if entry["response"]["status"] not in {"200 OK", "201 Created"}:
            raise WrongResponse(f"an entry was answered by {entry['response']}")
        check_resource(entry["resource"], None)


def _read_resource(server: Server, path: str, wanted: int, status: int, body: bytes) -> dict[str, Any]:
    if status != wanted:
        excerpt = body[:500].decode(errors="replace")
        raise WrongResponse(f"{server.name} at {path} answered {status}: {excerpt}\n  {server.log_end()}")
    resource: dict[str, Any] = json.loads(body)
    return resource


def check_resource(resource: dict[str, Any], entries: int | None) -> None:
    """Raise `WrongResponse` unless it has that many matches of the patient, or for None, is an Observation."""
    if entries is None:
        if resource.get("resourceType") != "Observation":
            raise WrongResponse(f"the response is a {resource.get('resourceType')}, not an Observation")
        return
    matches = [entry for entry in resource.get("entry", []) if entry.get("search", {}).get("mode") == "match"]
    if len(matches) != entries:
        raise WrongResponse(f"the response has {len(matches)} matches instead of {entries}")
    # An absolute reference must have become one below the public base.
    own = {f"Patient/{PATIENT}", f"{PUBLIC_BASE}/Patient/{PATIENT}"}
    foreign = [entry for entry in matches if entry["resource"]["subject"]["reference"] not in own]
    if foreign:
        raise WrongResponse(f"the response has {len(foreign)} entries of another patient")


def link_target(resource: dict[str, Any], relation: str) -> str:
    """Path and query of the link, without the host. Raises `WrongResponse` if there is none."""
    for link in resource.get("link", []):
        if link["relation"] == relation:
            url: str = link["url"]
            return urlsplit(url)._replace(scheme="", netloc="").geturl()
    raise WrongResponse(f"the response has no link to its {relation} page")
