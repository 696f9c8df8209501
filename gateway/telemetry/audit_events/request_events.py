"""The AuditEvents of one FHIR request: one for each patient whom it concerns, or one without a patient.

BALP 3:5.7.3 wants an event for every patient whom the results name, so that whoever asks for the accesses to a record
finds all of them by its patient.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gateway.fhir.request import interaction as fhir
from gateway.fhir.request.interaction_name import interaction_name
from gateway.telemetry.audit_events.agents import Agents, build_agents
from gateway.telemetry.audit_events.codes import PATTERNS, UNKNOWN_PATTERN, Pattern
from gateway.telemetry.audit_events.entities import (
    EventForm,
    decision_entity,
    object_entity,
    patient_entity,
    request_id_entity,
)
from gateway.telemetry.audit_events.named_patients import patients_of_body, patients_of_interaction
from gateway.telemetry.audit_events.naming import PATIENT
from gateway.telemetry.audit_events.unsealed_event import UnsealedEvent, head, instant
from gateway.telemetry.audit_events.written_resource import read_location
from gateway.telemetry.request_record import RequestRecord

# Of an answer that names more, the events say how many are left out; a page has some hundreds at most.
MAX_PATIENTS = 1000


class Answer(NamedTuple):
    """What is known of the response beside the record: its body, or nothing of one that is streamed; and `Location`.

    `is_end` is set for the second report of a streamed response, when it is known what has left.
    """

    body: bytes = b""
    location: bytes | None = None
    is_streamed: bool = False
    is_end: bool = False


@dataclass(frozen=True, slots=True)
class RequestParties:
    """What all requests of a token have in common, from one address and with one pattern; `agents` is encoded."""

    pattern: Pattern
    agents: Agents


def find_pattern(interaction: fhir.RecordedInteraction | None) -> Pattern:
    """How an interaction is recorded; that of app state is one of FHIR at another address."""
    return PATTERNS.get(interaction_name(_fhir_interaction(interaction)), UNKNOWN_PATTERN)


def request_parties(record: RequestRecord, form: EventForm) -> RequestParties:
    """The parties of a request."""
    pattern = find_pattern(record.interaction)
    agents = build_agents(record.access, record.remote_address, pattern, form.naming, comprehensive=form.comprehensive)
    return RequestParties(pattern, agents)


def request_events(
    record: RequestRecord, answer: Answer, form: EventForm, parties: RequestParties
) -> list[UnsealedEvent]:
    """The events. `parties` are those of `request_parties`."""
    interaction, written = _fhir_interaction(record.interaction), read_location(answer.location)
    patients = list(_patients(record, answer, parties.agents))
    left_out = len(patients) - MAX_PATIENTS
    entities = b",".join(
        entity
        for entity in (
            request_id_entity(record.request_id),
            object_entity(record.method, interaction, written, form),
            decision_entity(record, interaction, kept=not answer.is_streamed, details=_more(answer, left_out)),
        )
        if entity
    )
    status, agents, at = record.status, parties.agents, instant(record.arrived_at)
    problem = record.reason.value if status >= 400 else ""
    if not patients:
        return [
            UnsealedEvent(head(parties.pattern, agents.token_profile, status, problem), at, agents.members, entities)
        ]
    start = head(parties.pattern, agents.token_profile, status, problem, with_patient=True)
    return [
        UnsealedEvent(start, at, agents.members, b"%b,%b" % (entities, patient_entity(patient, form.naming)))
        for patient in patients[:MAX_PATIENTS]
    ]


def _fhir_interaction(interaction: fhir.RecordedInteraction | None) -> fhir.Interaction | None:
    return interaction.request if isinstance(interaction, fhir.AppStateRequest) else interaction


def _more(answer: Answer, left_out: int) -> tuple[tuple[str, str], ...]:
    details = []
    if answer.is_streamed or answer.is_end:
        details.append(("streamed", "end" if answer.is_end else "start"))
    if left_out > 0:
        details.append(("patients_left_out", str(left_out)))
    return tuple(details)


def _patients(record: RequestRecord, answer: Answer, agents: Agents) -> Iterator[str]:
    """The ids of the patients, each once. The patient of the token counts where nobody else is named.

    A request that was refused concerns those whom it names, whoever the token is for; and in shadow mode a token reads
    more than what belongs to its patient.
    """
    access, written = record.access, read_location(answer.location)
    if agents.bound_patient is not None and record.status < 400 and record.shadow is None:
        yield agents.bound_patient
        return
    named = dict.fromkeys(patients_of_interaction(_fhir_interaction(record.interaction)))
    if access is not None and record.status < 300:
        named.update(dict.fromkeys(record.written_patients))
        named.update(dict.fromkeys(patients_of_body(answer.body)))
    if written is not None and written.resource_type == PATIENT:
        named[written.id] = None
    if not named and access is not None and access.patient is not None:
        named[access.patient] = None
    yield from named
