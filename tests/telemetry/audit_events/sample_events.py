"""AuditEvents of every kind: all interactions, for users, apps and nobody, as they succeed and as they are refused."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.fhir.reference import Reference
from gateway.fhir.request import interaction as fhir
from gateway.fhir.request.export_parameters import ExportParameters
from gateway.fhir.search.query import ChainLink, Query, SearchCriterion, SearchKey
from gateway.policy.reasons import Reason
from gateway.scopes.parse_scopes import parse_granted_scopes
from gateway.telemetry.audit_events.chain import Chain
from gateway.telemetry.audit_events.entities import EventForm
from gateway.telemetry.audit_events.naming import Naming
from gateway.telemetry.audit_events.request_events import Answer, request_events, request_parties
from gateway.telemetry.audit_events.sign_in_events import server_event_event
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.server_event import EventKind, ServerEvent
from tests.telemetry.request_records import AT, access, request_record

BASE = "https://fhir.example.org/r4"
ISSUER = "https://fhir.example.org/auth"
TREATMENT = "http://terminology.hl7.org/CodeSystem/v3-ActReason|TREAT"


def by_patient(value: str) -> Query:
    return Query((SearchCriterion(SearchKey((ChainLink("patient"),)), value),))


INTERACTIONS: dict[str, fhir.Interaction | None] = {
    "read": fhir.Read("Observation", "o1"),
    "vread": fhir.VRead("Observation", "o1", "3"),
    "search": fhir.TypeSearch("Observation", by_patient("A")),
    "search without a patient": fhir.TypeSearch("Practitioner"),
    "search of all types": fhir.SystemSearch(by_patient("A")),
    "search of a compartment": fhir.CompartmentSearch("Patient", "A", "*"),
    "history": fhir.InstanceHistory("Observation", "o1"),
    "history of a type": fhir.TypeHistory("Observation"),
    "create": fhir.Write(fhir.WriteKind.CREATE, "Observation"),
    "update": fhir.Write(fhir.WriteKind.UPDATE, "Observation", "o1"),
    "patch": fhir.Write(fhir.WriteKind.PATCH, "Observation", "o1"),
    "conditional delete": fhir.Write(fhir.WriteKind.DELETE, "Observation", None, by_patient("A")),
    "delete": fhir.Write(fhir.WriteKind.DELETE, "Observation", "o1"),
    "batch": fhir.BatchOrTransaction(fhir.BundleKind.BATCH, ()),
    "operation": fhir.Operation(fhir.OperationLevel.INSTANCE, "everything", "Patient", "A"),
    "export": fhir.ExportKickoff(fhir.ExportLevel.PATIENT, ExportParameters()),
    "file of an export": fhir.ExportFile("sealed"),
    "no interaction": None,
}


def by_user(**changes: Any) -> Any:
    """The token of a doctor who reads many patients."""
    given: dict[str, Any] = {
        "scopes": parse_granted_scopes("user/*.cruds"),
        "roles": frozenset({"doctor"}),
        "purposes_of_use": frozenset({TREATMENT, "research"}),
        "token_id": "token 1/a",
    }
    return access(**{**given, **changes})


def by_patients_app(**changes: Any) -> Any:
    """The token of an app for patient A, who uses it."""
    given: dict[str, Any] = {
        "scopes": parse_granted_scopes("patient/*.cruds"),
        "user": Reference("Patient", "A"),
        "authorization_id": "authorization-1",
    }
    return access(**{**given, **changes})


TOKENS: dict[str, Any] = {
    "a user": by_user(),
    "a user without a patient": by_user(patient=None),
    "a user whose token has no id": by_user(token_id=None),
    "an app of a patient": by_patients_app(),
    "an app for itself": access(subject=None, user=None, patient=None, token_id="token-2"),
    "nobody": None,
}
_SOME_TOKENS = {name: TOKENS[name] for name in ("a user", "an app of a patient")}
FORMS = {
    "in full": EventForm(Naming(BASE)),
    "minimal": EventForm(Naming(BASE), comprehensive=False),
    "literal": EventForm(Naming(BASE, literal=True)),
    "with pseudonyms": EventForm(Naming(BASE, hash_id=lambda id_: f"hmac:{id_}")),
}


@dataclass(frozen=True)
class Sample:
    """One line, and what it is of."""

    name: str
    line: bytes


def answer_of(record: RequestRecord) -> Answer:
    """An answer as the interaction would have it."""
    if not isinstance(record.interaction, fhir.Write) or record.status >= 400:
        return Answer()
    return Answer(location=f"{BASE}/Observation/o2/_history/1".encode())


def sample_events() -> Iterator[Sample]:
    """All of them, in one chain."""
    chain = Chain.start(None)
    for form_name, form in FORMS.items():
        for token_name, token in TOKENS.items() if form_name == "in full" else _SOME_TOKENS.items():
            for name, interaction in INTERACTIONS.items():
                ends = ((200, Reason.PERMITTED), (403, Reason.SCOPE_INSUFFICIENT), (502, Reason.UPSTREAM_FAILED))
                for status, reason in ends if token is not None else ((401, Reason.TOKEN_MISSING),):
                    record = request_record(access=token, interaction=interaction, status=status, reason=reason)
                    parties = request_parties(record, form)
                    for event in request_events(record, answer_of(record), form, parties):
                        yield Sample(f"{form_name}, {token_name}, {name}, {status}", chain.seal(event, 0))
    for kind in EventKind:
        happened = ServerEvent(
            kind=kind, at=AT, client_id="app", subject="sub-1", patient="A", scope="patient/*.rs", reason="why",
            remote_address="192.0.2.7", typed_user="somebody", authorization_id="authorization-1",
        )  # fmt: skip
        yield Sample(kind.value, chain.seal(server_event_event(happened, ISSUER, FORMS["in full"]), 0))
        bare = ServerEvent(kind=kind, at=AT)
        yield Sample(f"{kind.value}, bare", chain.seal(server_event_event(bare, ISSUER, FORMS["in full"]), 1))
