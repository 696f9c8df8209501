"""The AuditEvents of the SMART server: sign-ins, tokens, grants, changes of users and apps, refusals."""

from gateway.telemetry.audit_events.agents import client_agent, server_agent
from gateway.telemetry.audit_events.codes import (
    APPLICATION,
    AUTHORIZATION_SERVER,
    GET_ACCESS_TOKEN,
    LOGIN,
    LOGOUT,
    MINOR_FAILURE,
    OTHER_ENTITY,
    PATIENT_ROLE,
    PERSON,
    RECIPIENT,
    SECURITY_ALERT,
    SECURITY_SERVER,
    SUCCESS,
    USER_ATTRIBUTES_CHANGED,
    USER_AUTHENTICATION,
    Json,
)
from gateway.telemetry.audit_events.entities import DECISION, EventForm, details_of
from gateway.telemetry.audit_events.naming import PATIENT
from gateway.telemetry.audit_events.unsealed_event import UnsealedEvent, instant
from gateway.telemetry.server_event import REFUSALS, EventKind, ServerEvent

# Kinds that DICOM (CID 400, CID 401) or IHE IUA has a code for. What has none is a security alert with its kind.
_CODES: dict[EventKind, tuple[Json, Json]] = {
    EventKind.SIGNED_IN: (USER_AUTHENTICATION, LOGIN),
    EventKind.SIGN_IN_FAILED: (USER_AUTHENTICATION, LOGIN),
    EventKind.SIGNED_OUT: (USER_AUTHENTICATION, LOGOUT),
    EventKind.PROVIDER_LOGOUT: (USER_AUTHENTICATION, LOGOUT),
    EventKind.TOKEN_ISSUED: (USER_AUTHENTICATION, GET_ACCESS_TOKEN),
    EventKind.TOKEN_REFUSED: (USER_AUTHENTICATION, GET_ACCESS_TOKEN),
    EventKind.ADMIN_SIGNED_IN: (USER_AUTHENTICATION, LOGIN),
    EventKind.ADMIN_SIGN_IN_FAILED: (USER_AUTHENTICATION, LOGIN),
    EventKind.ADMIN_SIGNED_OUT: (USER_AUTHENTICATION, LOGOUT),
    EventKind.USER_ADDED: (SECURITY_ALERT, USER_ATTRIBUTES_CHANGED),
    EventKind.USER_UPDATED: (SECURITY_ALERT, USER_ATTRIBUTES_CHANGED),
    EventKind.USER_DISABLED: (SECURITY_ALERT, USER_ATTRIBUTES_CHANGED),
    EventKind.USER_ENABLED: (SECURITY_ALERT, USER_ATTRIBUTES_CHANGED),
    EventKind.USER_REMOVED: (SECURITY_ALERT, USER_ATTRIBUTES_CHANGED),
    EventKind.PASSWORD_SET: (SECURITY_ALERT, USER_ATTRIBUTES_CHANGED),
}


def server_event_event(event: ServerEvent, issuer: str, form: EventForm) -> UnsealedEvent:
    """The AuditEvent. `issuer` is the address of the SMART server.

    BALP's profile of a token request (`IHE.IUA.71`) holds the whole request, which is not recorded, so that no profile
    is claimed. What a refused request says of its user is not proven, and stands among the details.
    """
    kind, subtype = _CODES.get(event.kind, (SECURITY_ALERT, None))
    is_refusal = event.kind in REFUSALS
    audit_event: Json = {"resourceType": "AuditEvent", "type": kind}
    if subtype is not None:
        audit_event["subtype"] = [subtype]
    audit_event |= {
        "action": "E",
        "recorded": instant(event.at),
        "outcome": MINOR_FAILURE if is_refusal else SUCCESS,
    }
    if is_refusal and event.reason:
        audit_event["outcomeDesc"] = event.reason
    server = server_agent(form.naming, AUTHORIZATION_SERVER)
    audit_event["agent"] = [
        client_agent(event.client_id, issuer, event.remote_address, APPLICATION, is_requestor=event.subject is None),
        server,
        *_users(event, issuer),
    ]
    audit_event["source"] = {"observer": server["who"], "type": [SECURITY_SERVER]}
    audit_event["entity"] = _entities(event, form)
    return UnsealedEvent.from_resource(audit_event)


def _users(event: ServerEvent, issuer: str) -> list[Json]:
    if event.subject is None:
        return []
    who = {"identifier": {"system": issuer, "value": event.subject}}
    return [{"type": RECIPIENT, "who": who, "requestor": True}]


def _entities(event: ServerEvent, form: EventForm) -> list[Json]:
    typed_user = event.typed_user
    if typed_user is not None and form.hash_typed_user is not None:
        typed_user = form.hash_typed_user(typed_user)
    details = details_of(
        {
            "event": event.kind.value,
            "administrator": event.administrator,
            "reason": event.reason,
            "authorization_id": event.authorization_id,
            "scope": event.scope,
            "issuer": event.issuer,
            "audience": event.audience,
            "typed_user": typed_user,
            "configuration": event.configuration,
        }
    )
    entities: list[Json] = [{"type": OTHER_ENTITY, "name": DECISION, "detail": details}]
    if event.patient is not None:
        entities.append({"what": form.naming.reference(PATIENT, event.patient), "type": PERSON, "role": PATIENT_ROLE})
    return entities
