"""Builds what keeps AuditEvents and hands them on, from the settings."""

from dataclasses import dataclass
from functools import lru_cache, partial

from gateway.audit_delivery.audit_repository import AuditRepository
from gateway.audit_delivery.delivery import Delivery
from gateway.audit_delivery.event_file import EventFile
from gateway.audit_delivery.sink import Sink
from gateway.settings.model import Settings
from gateway.settings.serving.audit import AuditEvents, AuditServer
from gateway.settings.serving.upstream import Pool, Upstream
from gateway.telemetry.audit_events.entities import EventForm
from gateway.telemetry.audit_events.event_log import AuditEventLog
from gateway.telemetry.audit_events.naming import Naming
from gateway.telemetry.audit_events.spool import open_free_spool
from gateway.telemetry.audit_log import hash_id
from gateway.upstream.build import build_authentication, build_connection_pool, build_exchange
from gateway.upstream.documents.control_client import ControlClient

_CACHED_IDS = 4096


@dataclass(frozen=True, slots=True)
class AuditTrail:
    """What keeps events, and what hands them on."""

    log: AuditEventLog
    delivery: Delivery


def build_audit_trail(settings: Settings) -> AuditTrail | None:
    """The trail that the settings describe; None if they describe none. Raises `OSError` if its spool cannot be used.

    Must be called in the process that uses it: each has a chain of its own.
    """
    events = settings.audit.events
    if events is None:
        return None
    sinks = build_sinks(events)
    spool = open_free_spool(events.spool, [sink.name for sink in sinks], events.chain_key_bytes(), events.spool_bytes)
    log = AuditEventLog(
        spool, build_form(settings), settings.smart_server_issuer(), refuses_when_full=events.when_full == "refuse"
    )
    delivery = Delivery(log, events.spool, sinks)
    log.on_append = delivery.notice
    return AuditTrail(log, delivery)


def build_form(settings: Settings) -> EventForm:
    """How events are written."""
    audit, events = settings.audit, settings.audit.events
    key = audit.hash_key.get_secret_value().encode() if audit.hash_key is not None else None
    hash_patient = lru_cache(_CACHED_IDS)(partial(hash_id, key)) if key is not None and audit.hash_patient else None
    hash_typed_user = partial(hash_id, key) if key is not None and audit.hash_typed_user else None
    assert events is not None
    return EventForm(
        Naming(settings.public_base_url, events.references == "literal", hash_patient),
        comprehensive=events.token_details == "comprehensive",
        query_values=events.query_values,
        hash_typed_user=hash_typed_user,
    )


def build_sinks(events: AuditEvents) -> list[Sink]:
    """Where events go."""
    sinks: list[Sink] = []
    if events.file is not None:
        sinks.append(EventFile(events.file))
    if events.server is not None:
        sinks.append(build_repository(events.server))
    return sinks


def build_repository(server: AuditServer) -> AuditRepository:
    """The FHIR server that takes events, with connections and credentials of its own."""
    as_upstream = Upstream(
        base_url=server.base_url,
        authentication=server.authentication,
        tls=server.tls,
        pool=Pool(connections=4, queue=16),
    )
    authentication = build_authentication(server.authentication, ControlClient())
    pool = build_connection_pool(as_upstream, authentication, ())
    return AuditRepository(build_exchange(as_upstream, pool, authentication), pool.base_path, server.batch)
