"""Hostile answers to reads, and hostile errors and headers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.servers.hostile.documents import capability_statement, entries_of, honest, with_entries
from tests.servers.hostile.modes import Mode
from tests.servers.hostile.question import Answer, Kind, Question, as_json
from tests.servers.hostile.world import A_REFERENCE, B_REFERENCE, HOSTILE_B, of_b, outcome, owned, owner_key
from tests.servers.people import B_MARKER, PATIENT_A

_LOOKALIKE_REFERENCES: tuple[Any, ...] = (
    {"reference": f"http://evil.example/fhir/Patient/{PATIENT_A}"},
    {"reference": f"Group/{PATIENT_A}"},
    {"reference": f"Patient/{PATIENT_A}2"},
    {"reference": f"Patient/{PATIENT_A.upper()}"},
    {"reference": f"patient/{PATIENT_A}"},
    {"reference": f"Patient/{PATIENT_A}/Observation"},
    {"reference": f"Patient/x/../{PATIENT_A}"},
    {"reference": f"Patient/{HOSTILE_B}?x=Patient/{PATIENT_A}"},
    {"reference": f"Patient/{HOSTILE_B}#Patient/{PATIENT_A}"},
    {"reference": f"Patient?identifier={PATIENT_A}"},
    {"reference": f"urn:uuid:{PATIENT_A}"},
    {"reference": f"#{PATIENT_A}"},
    {"reference": [f"Patient/{PATIENT_A}"]},
    {"reference": {"reference": f"Patient/{PATIENT_A}"}},
    {"type": "Patient", "identifier": {"value": PATIENT_A}},
    {"display": f"Patient/{PATIENT_A}"},
    f"Patient/{PATIENT_A}",
    None,
)
_LOOKALIKE_IDS = (f"{PATIENT_A}-2", f"x{PATIENT_A}", "PAT-A", "p\u0430t-a", f"{PATIENT_A} ", f"{PATIENT_A}\u0000")


def _read(resource: Callable[[Question], Any]) -> Callable[[Question], Answer | None]:
    """Answer reads and writes with the resource, and Bundles with the resource as their match."""

    def answer(question: Question) -> Answer | None:
        if question.kind in {Kind.READ, Kind.WRITE}:
            return as_json(resource(question))
        return with_entries(question, entries_of(question, [resource(question)]))

    return answer


def _each(owners: tuple[Any, ...], question: Question) -> Answer | None:
    """B's records under every owner; a read takes the one whose number ends the id, so that tests reach each."""
    if question.type == "Patient":
        return _read(lambda _question: of_b("Patient"))(question)
    records = [owned(question.type, f"a-{number}", owner, B_MARKER) for number, owner in enumerate(owners)]
    if question.kind is Kind.READ:
        number = question.id.rpartition("-")[2]
        return as_json({**records[int(number) % len(records) if number.isdigit() else 0], "id": question.id})
    return with_entries(question, entries_of(question, records))


def _lookalike_references(question: Question) -> Answer | None:
    return _each(_LOOKALIKE_REFERENCES, question)


def _lookalike_ids(question: Question) -> Answer | None:
    if question.type == "Patient":
        people = [of_b("Patient", logical_id) for logical_id in _LOOKALIKE_IDS]
        return (
            as_json(people[0]) if question.kind is Kind.READ else with_entries(question, entries_of(question, people))
        )
    return _each(tuple({"reference": f"Patient/{logical_id}"} for logical_id in _LOOKALIKE_IDS), question)


def _two_subjects(question: Question) -> Any:
    return {**of_b(question.type, question.id), owner_key(question.type): [A_REFERENCE, B_REFERENCE]}


def _untyped(question: Question) -> Any:
    b = {**of_b(question.type, question.id), owner_key(question.type): A_REFERENCE}
    del b["resourceType"]
    strange: tuple[dict[str, Any], ...] = (
        {},
        {"resourceType": None},
        {"resourceType": [question.type]},
        {"resourcetype": question.type},
    )
    return b | strange[len(question.target) % len(strange)]


def _always_304(question: Question) -> Answer | None:
    if question.header("if-none-match") or question.header("if-modified-since"):
        return Answer(b"", 304, None, (("ETag", f'W/"{B_MARKER}"'),))
    return as_json(of_b(question.type, question.id)) if question.kind is Kind.READ else None


def _unless_metadata(answer: Callable[[Question], Answer]) -> Callable[[Question], Answer | None]:
    return lambda question: None if question.kind is Kind.METADATA else answer(question)


def _outcome_quotes_b(question: Question) -> Answer:
    words = f"Patient/{HOSTILE_B} ({B_MARKER}) matches {question.target} on {question.base}"
    return as_json(outcome(words), 400)


def _patient(status: int) -> Callable[[Question], Answer]:
    return lambda _question: as_json(of_b("Patient"), status)


def _stack_trace(_question: Question) -> Answer:
    words = f"java.lang.NullPointerException: {json.dumps(of_b())}\n\tat org.example.Dao.read(Dao.java:7)\n"
    return Answer(words.encode(), 500, "text/plain")


def _redirect(question: Question) -> Answer:
    where = f"http://evil.example/fhir/Patient/{HOSTILE_B}"
    return as_json(of_b(question.type), 302, ("Location", where))


def _unauthorized(question: Question) -> Answer:
    return as_json(of_b(question.type), 401, ("WWW-Authenticate", f'Basic realm="{B_MARKER}"'))


def _headers_of_b(question: Question) -> Answer | None:
    answer = honest(question)
    names = [
        "Access-Control-Allow-Headers",
        "Access-Control-Expose-Headers",
        "Content-Disposition",
        "Content-Language",
        "Link",
        "Server",
        "Set-Cookie",
        "Strict-Transport-Security",
        "Via",
        "Warning",
        "X-Cache",
        "X-Patient-Name",
        "X-Powered-By",
        "X-Request-ID",
        "X-Security-Context",
    ]
    cors = (("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true"))
    bad = ((name, f"{B_MARKER}={HOSTILE_B}") for name in names)
    return Answer(answer.body, answer.status, answer.content_type, (*answer.headers, *cors, *bad))


def _evil_metadata(question: Question) -> Answer | None:
    if question.kind is not Kind.METADATA:
        return None
    uris = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
    evil = "http://evil.example/oauth"
    statement = capability_statement("http://evil.example/fhir")
    rest = {
        **statement["rest"][0],
        "documentation": B_MARKER,
        "security": {
            "cors": True,
            "description": B_MARKER,
            "extension": [{"url": uris, "extension": [{"url": "token", "valueUri": evil}]}],
        },
        "operation": [{"name": "graphql", "definition": f"http://evil.example/{B_MARKER}"}],
    }
    return as_json({**statement, "rest": [rest], "description": B_MARKER, "contained": [of_b("Patient")]})


ANSWERS: dict[Mode, Callable[[Question], Answer | None]] = {
    Mode.HONEST: honest,
    Mode.READ_OF_B: _read(lambda question: of_b(question.type)),
    Mode.SUBJECT_OF_B: _read(lambda question: of_b(question.type, question.id)),
    Mode.TYPE_OF_B: _read(lambda _question: of_b("Patient")),
    Mode.LIST_OF_SUBJECTS: _read(_two_subjects),
    Mode.LOOKALIKE_REFERENCES: _lookalike_references,
    Mode.LOOKALIKE_IDS: _lookalike_ids,
    Mode.NO_RESOURCE_TYPE: _read(_untyped),
    Mode.ALWAYS_304: _always_304,
    Mode.OUTCOME_QUOTES_B: _unless_metadata(_outcome_quotes_b),
    Mode.PATIENT_AS_404: _unless_metadata(_patient(404)),
    Mode.PATIENT_AS_500: _unless_metadata(_patient(500)),
    Mode.STACK_TRACE: _unless_metadata(_stack_trace),
    Mode.REDIRECT: _unless_metadata(_redirect),
    Mode.UNAUTHORIZED: _unless_metadata(_unauthorized),
    Mode.HEADERS_OF_B: _headers_of_b,
    Mode.EVIL_METADATA: _evil_metadata,
}
