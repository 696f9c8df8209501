"""An answer looked at before any load is sent: the right resource, nobody else's data, and where its links lead."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from bench.bodies import PATIENT
from bench.servers import Server, get


class WrongAnswer(Exception):
    """A server answered, but not with what the row is about; measuring it would compare nothing."""


def ask(server: Server, path: str, headers: dict[str, str]) -> dict[str, Any]:
    """The resource that the server answers with; `WrongAnswer` for any status but 200."""
    status, body = get(server, path, headers)
    if status != 200:
        said = body[:500].decode(errors="replace")
        raise WrongAnswer(f"{server.name} at {path} answered {status}: {said}\n  {server.log_end()}")
    answer: dict[str, Any] = json.loads(body)
    return answer


def look(answer: dict[str, Any], entries: int | None) -> None:
    """Raise `WrongAnswer` unless it is that many matches of the patient (None: an Observation and no Bundle)."""
    if entries is None:
        if answer.get("resourceType") != "Observation":
            raise WrongAnswer(f"the answer is a {answer.get('resourceType')}, not an Observation")
        return
    matches = [one for one in answer.get("entry", []) if one.get("search", {}).get("mode") == "match"]
    if len(matches) != entries:
        raise WrongAnswer(f"the answer has {len(matches)} matches instead of {entries}")
    foreign = [one for one in matches if one["resource"]["subject"]["reference"] != f"Patient/{PATIENT}"]
    if foreign:
        raise WrongAnswer(f"the answer has {len(foreign)} entries of another patient")


def linked(answer: dict[str, Any], relation: str) -> str:
    """Path and query of the link, to be asked of the same server under whatever host; `WrongAnswer` without one."""
    for link in answer.get("link", []):
        if link["relation"] == relation:
            url: str = link["url"]
            return urlsplit(url)._replace(scheme="", netloc="").geturl()
    raise WrongAnswer(f"the answer has no link to its {relation} page")
