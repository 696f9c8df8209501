"""An AuditEvent read back into the facts that people ask for: who, when, what, whose record, and what left."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.telemetry.audit_events.chain import CHAIN, entity_details
from gateway.telemetry.audit_events.codes import APPLICATION, AUTHOR, RECIPIENT
from gateway.telemetry.audit_events.entities import DECISION

_PATIENT_ROLE, _OBJECT_TYPE = "1", "2"
_USER_TYPES = (RECIPIENT, AUTHOR)


@dataclass(frozen=True, slots=True)
class RecordedAccess:
    """One event. `details` is what the gateway itself said of it. `patients` are ids, or pseudonyms where the events
    have those.
    """

    id: str
    at: str
    client: str
    users: tuple[str, ...]
    address: str
    what: str
    patients: tuple[str, ...]
    outcome: str
    details: Mapping[str, str] = field(default_factory=dict)
    lost_before: int = 0

    @property
    def is_export(self) -> bool:
        """Whether files of an export left, whose patients nobody has listed."""
        return self.details.get("interaction", "").startswith("export") and not self.patients

    @property
    def left(self) -> str:
        """What left the gateway, in words."""
        if self.outcome != "0":
            return f"nothing ({self.details.get('reason', 'refused')})"
        if self.details.get("streamed") == "start":
            return "a stream"
        kept = self.details.get("kept")
        if kept is None:
            return ""
        return f"{kept} resource{'' if kept == '1' else 's'}, {self.details.get('bytes', '0')} bytes"


def read_access(event: Any) -> RecordedAccess | None:
    """The facts of an event; None of one that this gateway has not made."""
    details = entity_details(event, DECISION)
    if not details:
        return None
    agents, entities = _objects(event, "agent"), list(_objects(event, "entity"))
    client, users, address = "", [], ""
    for index, agent in enumerate(agents):
        identifier = (agent.get("who") or {}).get("identifier") or {}
        if index == 0 or agent.get("type") == APPLICATION:
            client, address = identifier.get("value", ""), (agent.get("network") or {}).get("address", address)
        elif agent.get("type") in _USER_TYPES:
            users += [name for name in (agent.get("altId"), identifier.get("value")) if name and name not in users]
    chain = entity_details(event, CHAIN)
    return RecordedAccess(
        id=str(event.get("id")),
        at=str(event.get("recorded")),
        client=client,
        users=tuple(users),
        address=address,
        what=_what(details, entities),
        patients=tuple(_id(entity) for entity in entities if (entity.get("role") or {}).get("code") == _PATIENT_ROLE),
        outcome=str(event.get("outcome")),
        details=details,
        lost_before=int(chain.get("lost_before", "0")),
    )


def _objects(event: Any, name: str) -> Iterator[dict[str, Any]]:
    values = event.get(name) if isinstance(event, dict) else None
    return (value for value in (values if isinstance(values, list) else []) if isinstance(value, dict))


def _what(details: Mapping[str, str], entities: list[dict[str, Any]]) -> str:
    """`read Observation/7`, `search-type Observation`, or the kind of an event of the SMART server."""
    if "event" in details:
        return details["event"]
    name = details.get("resource_type", "")
    for entity in entities:
        is_object = (entity.get("type") or {}).get("code") == _OBJECT_TYPE
        if is_object and entity.get("what"):
            reference = entity["what"]
            name = reference.get("reference") or f"{reference.get('type', name)}/{_id(entity)}".rstrip("/")
    return f"{details.get('interaction', '')} {name}".strip()


def _id(entity: Mapping[str, Any]) -> str:
    """The id of the resource that an entity is."""
    what = entity.get("what") or {}
    identifier = (what.get("identifier") or {}).get("value")
    return str(identifier or str(what.get("reference", "")).rpartition("/")[2])
