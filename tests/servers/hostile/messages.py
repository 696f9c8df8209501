"""Requests to the hostile server, and the forms of its responses."""

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


class RequestKind(StrEnum):
    """The kind of a request, as coarse as the modes need it."""

    METADATA = "metadata"
    READ = "read"
    SEARCH = "search"
    HISTORY = "history"
    OPERATION = "operation"
    WRITE = "write"
    BATCH = "batch"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class FhirRequest:
    """A parsed request. Nothing is checked."""

    mode: Mode
    base: str
    kind: RequestKind
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
class HostileResponse:
    """A well-formed HTTP response."""

    body: bytes
    status: int = 200
    content_type: str | None = FHIR_JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RawResponse:
    """The bytes of a response, including its status line, which are sent unchanged."""

    chunks: AsyncIterator[bytes]
    close: bool = True


def json_response(document: Any, status: int = 200, *headers: tuple[str, str]) -> HostileResponse:
    """A FHIR JSON response with the document."""
    return HostileResponse(json.dumps(document).encode(), status, FHIR_JSON, headers)


def parse_fhir_request(
    mode: Mode, root: str, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> FhirRequest:
    """Parse a request whose target begins with `/{mode}/fhir`; `root` is the server's own `http://host:port`."""
    parts = [part for part in urlsplit(target).path.split("/") if part][2:]
    first, second, third = [*parts, "", "", ""][:3]
    kind = third if _is_type(third) else first
    return FhirRequest(
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
    """The id for a request that names none."""
    return PATIENT_A if kind == "Patient" else "a-1"


def _is_type(segment: str) -> bool:
    return segment[:1].isalpha() and segment[:1].isupper()


def _kind(method: str, parts: list[str]) -> RequestKind:
    match method, parts:
        case _, ["metadata", *_]:
            return RequestKind.METADATA
        case _, ["bulk", *_]:
            return RequestKind.FILE
        case "POST", []:
            return RequestKind.BATCH
        case _, [*_, "_search"]:
            return RequestKind.SEARCH
        case _, [*_, last] if last.startswith("$"):
            return RequestKind.OPERATION
        case "POST" | "PUT" | "PATCH" | "DELETE", _:
            return RequestKind.WRITE
        case _, [*_, "_history"]:
            return RequestKind.HISTORY
        case _, [_, _] | [_, _, "_history", _]:
            return RequestKind.READ
        case _:
            return RequestKind.SEARCH
