"""Whether a record, or a part of one, still holds: what has ended or was withdrawn opens nothing to anybody."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.fhir.matching.match_date import Nanoseconds, parse_date, parse_stored_value

_WITHDRAWN = frozenset({"cancelled", "entered-in-error", "inactive", "noshow", "retired"})
# Elsewhere the period is when something happened, such as an Encounter.
_VALID_WITHIN_PERIOD = frozenset({"CareTeam", "RelatedPerson"})


def is_withdrawn(resource: Mapping[str, Any]) -> bool:
    """Whether the record says of itself that it does not hold, at whatever time."""
    return resource.get("active") is False or resource.get("status") in _WITHDRAWN


def is_in_force(resource: Mapping[str, Any], now: float) -> bool:
    """Whether the record holds at `now`, in seconds since the epoch. A period that cannot be read has ended."""
    if is_withdrawn(resource):
        return False
    has_period = resource.get("resourceType") in _VALID_WITHIN_PERIOD
    return not has_period or not _has_ended(resource, _to_span_start(now))


def drop_ended_parts(resource: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The resource without the parts that no longer hold: members, participants, entries, identifiers."""
    start = _to_span_start(now)
    return {
        name: [part for part in value if not _is_ended_part(part, start)] if isinstance(value, list) else value
        for name, value in resource.items()
    }


def _is_ended_part(part: Any, now: Nanoseconds) -> bool:
    """Group.member.inactive, List.entry.deleted, Appointment.participant.status, or the `period` of any part."""
    if not isinstance(part, dict):
        return False
    if part.get("inactive") is True or part.get("deleted") is True or part.get("status") == "declined":
        return True
    return _has_ended(part, now)


def _has_ended(value: Mapping[str, Any], now: Nanoseconds) -> bool:
    period = value.get("period")
    if not period:
        return False
    span = parse_stored_value(period)
    return span is None or span.end <= now


def _to_span_start(now: float) -> Nanoseconds:
    return parse_date(datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")).start
