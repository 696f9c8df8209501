"""What the hostile server was asked, and what it may answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from tests.servers.hostile.modes import Mode
from tests.servers.people import PATIENT_A

FHIR_JSON = "application/fhir+json"


class Kind(StrEnum):
    """What is asked for, as roughly as the misbehaviour needs."""

    METADATA = "metadata"
    READ = "read"
    SEARCH = "search"
    HISTORY = "history"
    OPERATION = "operation"
    WRITE = "write"
    BATCH = "batch"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Question:
    """A request, taken apart without any check: this server believes whatever it is told."""

    mode: Mode
    base: str
    kind: Kind
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    type: str
    id: str

    def header(self, name: str) -> str | None:
        """The first header of that name in lower case, or None."""
        return next((value for key, value in self.headers if key == name), None)

    def json(self) -> Any:
        """The body as JSON, or an empty object."""
        try:
            return json.loads(self.body)
        except ValueError:
            return {}


@dataclass(frozen=True, slots=True)
class Answer:
    """A well-framed HTTP answer."""

    body: bytes
    status: int = 200
    content_type: str | None = FHIR_JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Wire:
    """Bytes to be put on the wire as they are, status line and all."""

    chunks: AsyncIterator[bytes]
    close: bool = True


def as_json(document: Any, status: int = 200, *headers: tuple[str, str]) -> Answer:
    """The document as a FHIR JSON answer."""
    return Answer(json.dumps(document).encode(), status, FHIR_JSON, headers)


def ask(mode: Mode, root: str, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes) -> Question:
    """Read a request whose target begins with `/{mode}/fhir`; `root` is our own `http://host:port`."""
    parts = [part for part in urlsplit(target).path.split("/") if part][2:]
    first, second, third = [*parts, "", "", ""][:3]
    kind = third if _is_type(third) else first
    return Question(
        mode=mode,
        base=f"{root}/{mode}/fhir",
        kind=_kind(method, parts),
        method=method,
        target=target,
        headers=headers,
        body=body,
        type=kind if _is_type(kind) else "Observation",
        id=second if second and second[0] not in "_$" else default_id(kind),
    )


def default_id(kind: str) -> str:
    """The id that stands for a request that names none."""
    return PATIENT_A if kind == "Patient" else "a-1"


def _is_type(segment: str) -> bool:
    return segment[:1].isalpha() and segment[:1].isupper()


def _kind(method: str, parts: list[str]) -> Kind:
    match method, parts:
        case _, ["metadata", *_]:
            return Kind.METADATA
        case _, ["bulk", *_]:
            return Kind.FILE
        case "POST", []:
            return Kind.BATCH
        case _, [*_, "_search"]:
            return Kind.SEARCH
        case _, [*_, last] if last.startswith("$"):
            return Kind.OPERATION
        case "POST" | "PUT" | "PATCH" | "DELETE", _:
            return Kind.WRITE
        case _, [*_, "_history"]:
            return Kind.HISTORY
        case _, [_, _] | [_, _, "_history", _]:
            return Kind.READ
        case _:
            return Kind.SEARCH
