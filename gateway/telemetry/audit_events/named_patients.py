"""The patients whom a request or a response names, so that each of them has an AuditEvent (BALP 3:5.7.3)."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from gateway.fhir.reference import ID_PATTERN, iterate_objects
from gateway.fhir.request import interaction as fhir
from gateway.fhir.search.query import Query, SearchCriterion

_PATIENT = "Patient"
_MARK = "Patient/"
_ID_BEHIND_SLASH = re.compile(rb"/([A-Za-z0-9\-.]{1,64})")
_ID_PARAMETERS = frozenset({"patient", "subject"})


def patients_of_interaction(interaction: fhir.Interaction | None) -> Iterator[str]:
    """The ids of the patients that the path and the query name."""
    match interaction:
        case fhir.Read(resource_type="Patient", id=id_) | fhir.VRead(resource_type="Patient", id=id_):
            yield id_
        case fhir.InstanceHistory(resource_type="Patient", id=id_):
            yield id_
        case fhir.CompartmentSearch(compartment_type="Patient", compartment_id=id_):
            yield id_
        case fhir.Operation(resource_type="Patient", id=str(id_)) | fhir.Write(resource_type="Patient", id=str(id_)):
            yield id_
        case _:
            pass
    query = interaction.criteria if isinstance(interaction, fhir.Write) else getattr(interaction, "query", None)
    if isinstance(query, Query):
        names_ids = getattr(interaction, "resource_type", None) == _PATIENT
        for criterion in query.criteria:
            yield from _patients_of_criterion(criterion, names_ids=names_ids)


def _patients_of_criterion(criterion: SearchCriterion, *, names_ids: bool) -> Iterator[str]:
    """`patient=A`, `subject=Patient/A`, and `_id=A` where patients are searched; several by commas."""
    key = str(criterion.key).partition(":")[0]
    for value in criterion.value.split(","):
        _, slash, id_ = value.rpartition(_MARK)
        is_id = slash or key in _ID_PARAMETERS or (names_ids and key == "_id")
        if is_id and ID_PATTERN.fullmatch(id_):
            yield id_


def patients_of_body(body: bytes) -> Iterator[str]:
    """The ids of the patients whom resources in a body of JSON name by references, or who are among them.

    Most bodies are searched, which costs some 2 ns a byte, and not parsed. A text that can be written in several ways,
    and a patient, whom no reference need name, are found by parsing.
    """
    parts = body.split(_PATIENT.encode())
    if _has_other_spellings(body) or any(part.startswith(b'"') for part in parts[1:]):
        # The content of a Binary need not be JSON, and has no resources in it.
        with contextlib.suppress(ValueError, RecursionError):
            yield from patients_of_tree(_decode(body))
        return
    for part in parts[1:]:
        match = _ID_BEHIND_SLASH.match(part)
        if match is not None:
            yield match[1].decode("ascii")


def _decode(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # Half a surrogate pair somewhere in a page must hide none of its patients.
        return json.loads(body)


def _has_other_spellings(body: bytes) -> bool:
    """Whether there may be escapes of a slash or a letter."""
    return b"\\" in body and (b"\\/" in body or b"\\u" in body)


def patients_of_tree(tree: Any) -> Iterator[str]:
    """The same of parsed JSON."""
    for element in iterate_objects(tree):
        if element.get("resourceType") == _PATIENT and isinstance(element.get("id"), str):
            yield element["id"]
        text = element.get("reference")
        if isinstance(text, str) and _MARK in text:
            yield text.rpartition(_MARK)[2].partition("/")[0]
