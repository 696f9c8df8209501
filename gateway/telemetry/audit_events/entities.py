"""What an event is about, as encoded entities of an AuditEvent: the request, the resource or query, the patient."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from gateway.fhir.reference import Reference
from gateway.fhir.request import interaction as fhir
from gateway.fhir.request.interaction_name import interaction_name
from gateway.fhir.request.interaction_url import format_interaction_url
from gateway.fhir.search.query import Query
from gateway.telemetry.audit_events.codes import (
    DOMAIN_RESOURCE_ROLE,
    OTHER_ENTITY,
    PATIENT_ROLE,
    PERSON,
    QUERY_ROLE,
    REQUEST_ID,
    SYSTEM_OBJECT,
    Json,
)
from gateway.telemetry.audit_events.naming import PATIENT, Naming
from gateway.telemetry.audit_scope_text import HIDDEN_VALUE
from gateway.telemetry.json_text import encode_json, encode_text
from gateway.telemetry.request_record import RequestRecord

DECISION = "decision"
"""The name of the entity that holds what this gateway itself says of an event."""
_PATIENT_IN_PATH = re.compile(r"(?<=/Patient/)[^/]+")
_CACHE_SIZE = 4096
_REQUEST_ID = encode_json(REQUEST_ID)
_DECISION_START = b'{"type":%b,"name":"%b","detail":[' % (encode_json(OTHER_ENTITY), DECISION.encode())


@dataclass(frozen=True, slots=True)
class EventForm:
    """How events are written. Without `query_values`, only the names of a query's parameters are.

    `hash_typed_user` makes the pseudonym of a name that was typed to sign in, where that is configured.
    """

    naming: Naming
    comprehensive: bool = True
    query_values: bool = True
    hash_typed_user: Callable[[str], str] | None = None


def request_id_entity(request_id: str) -> bytes:
    """The request by the value of `X-Request-Id`."""
    return b'{"what":{"identifier":{"value":%b}},"type":%b}' % (encode_text(request_id), _REQUEST_ID)


@lru_cache(_CACHE_SIZE)
def patient_entity(patient: str, naming: Naming) -> bytes:
    """The patient."""
    return encode_json({"what": naming.reference(PATIENT, patient), "type": PERSON, "role": PATIENT_ROLE})


def object_entity(
    method: str, interaction: fhir.Interaction | None, written: Reference | None, form: EventForm
) -> bytes | None:
    """The resource or the query that a request is about: one of both at most, as BALP has it."""
    match interaction:
        case fhir.Read(resource_type, id_) | fhir.InstanceHistory(resource_type, id_):
            return _data_entity(resource_type, id_, None, form.naming)
        case fhir.VRead(resource_type, id_, version_id):
            return _data_entity(resource_type, id_, version_id, form.naming)
        case fhir.Write(resource_type=resource_type, id=id_):
            if written is not None and written.resource_type == resource_type:
                return _data_entity(resource_type, written.id, written.version_id, form.naming)
            return _data_entity(resource_type, id_, None, form.naming)
        case (
            fhir.TypeSearch() | fhir.SystemSearch() | fhir.CompartmentSearch() | fhir.TypeHistory()
            | fhir.SystemHistory() | fhir.Operation() | fhir.ExportKickoff()
        ):  # fmt: skip
            return _query_entity(method, interaction, form)
        case _:
            return None


@lru_cache(_CACHE_SIZE)
def _data_entity(resource_type: str, id_: str | None, version_id: str | None, naming: Naming) -> bytes:
    what = naming.reference(resource_type, id_, version_id)
    return encode_json({"what": what, "type": SYSTEM_OBJECT, "role": DOMAIN_RESOURCE_ROLE})


def _query_entity(method: str, interaction: fhir.Interaction, form: EventForm) -> bytes:
    """What was searched: the request as it was understood, which is what was decided on. BALP has it in base64."""
    path, query = format_interaction_url(interaction)
    if not path and isinstance(interaction, fhir.Operation):
        path = f"/${interaction.name}"
    if not form.query_values or form.naming.hash_id is not None:
        path = _PATIENT_IN_PATH.sub(HIDDEN_VALUE, path)
        query = "&".join(f"{pair.partition('=')[0]}={HIDDEN_VALUE}" for pair in query.split("&") if pair)
    text = f"{method} {form.naming.base}{path}{'?' if query else ''}{query}"
    # Base64 has no character that JSON escapes.
    return b'{"type":%b,"role":%b,"query":"%b"}' % (
        encode_json(SYSTEM_OBJECT), encode_json(QUERY_ROLE), base64.b64encode(text.encode("utf-8", "replace")),
    )  # fmt: skip


def decision_entity(
    record: RequestRecord, interaction: fhir.Interaction | None, *, kept: bool, details: tuple[tuple[str, str], ...]
) -> bytes:
    """What this gateway decided and what left it; by `decision_id` the audit line and the response are found."""
    parts = [
        _DECISION_START,
        _decision_details(
            interaction_name(record.interaction),
            getattr(interaction, "resource_type", None),
            record.status,
            record.reason.value,
            record.configuration,
        ),
        b',{"type":"decision_id","valueString":"%b"}' % record.decision_id.encode("ascii"),
    ]
    if kept:
        parts.append(
            b',{"type":"kept","valueString":"%d"},{"type":"bytes","valueString":"%d"}'
            % (record.kept, record.response_bytes)
        )
    rare = [*details, *_rare_details(record, interaction)]
    parts += [b",%b" % encode_json(detail) for detail in details_of(dict(rare))]
    parts.append(b"]}")
    return b"".join(parts)


@lru_cache(_CACHE_SIZE)
def _decision_details(
    interaction: str, resource_type: str | None, status: int, reason: str, configuration: str
) -> bytes:
    """The details that repeat."""
    details = {
        "interaction": interaction,
        "resource_type": resource_type,
        "status": str(status),
        "reason": reason,
        "configuration": configuration,
    }
    return b",".join(map(encode_json, details_of(details)))


def _rare_details(record: RequestRecord, interaction: fhir.Interaction | None) -> list[tuple[str, str | None]]:
    details: list[tuple[str, str | None]] = []
    if isinstance(interaction, fhir.Write) and isinstance(interaction.criteria, Query):
        details.append(("criteria", " ".join(dict.fromkeys(name for name, _ in interaction.criteria.pairs()))))
    if isinstance(interaction, fhir.ExportKickoff):
        details.append(("export", interaction.level.value))
    if record.dropped:
        details.append(("dropped", str(sum(record.dropped.values()))))
    if record.shadow is not None:
        details.append(("shadow", record.shadow.reason.value))
    if record.refused_token is not None:
        details.append(("claimed_issuer", record.refused_token.issuer))
        details.append(("claimed_client", record.refused_token.client_id))
    return details


def details_of(values: dict[str, str | None]) -> list[Json]:
    """Values by names as details of an entity, without those that there are not."""
    return [{"type": name, "valueString": value} for name, value in values.items() if value]
