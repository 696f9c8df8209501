"""An AuditEvent without its id and its place in a chain: encoded pieces, most of which repeat from event to event."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from gateway.telemetry.audit_events.codes import (
    MINOR_FAILURE,
    REST,
    SERIOUS_FAILURE,
    SUCCESS,
    Json,
    Pattern,
    profile_url,
)
from gateway.telemetry.json_text import encode_json, encode_members

EVENT_START = b'{"resourceType":"AuditEvent","id":"'
_CACHE_SIZE = 4096


class UnsealedEvent(NamedTuple):
    """`head` and `parties` are members of a JSON object without its braces, `entities` are objects, with commas."""

    head: bytes
    recorded: str
    parties: bytes
    entities: bytes

    @classmethod
    def from_resource(cls, event: Json) -> "UnsealedEvent":
        """The pieces of a whole event."""
        entities = event["entity"]
        assert isinstance(entities, list)
        head = {
            name: value
            for name, value in event.items()
            if name in {"type", "subtype", "action", "outcome", "outcomeDesc"}
        }
        parties = {name: event[name] for name in ("agent", "source")}
        return cls(
            encode_members(head),
            str(event["recorded"]),
            encode_members(parties),
            b",".join(map(encode_json, entities)),
        )

    def seal(self, id_: bytes, place: bytes) -> bytes:
        """The event as JSON. `place` is the entity that says where it stands in its chain."""
        return b'%b%b",%b,"recorded":"%b",%b,"entity":[%b,%b]}' % (
            EVENT_START, id_, self.head, self.recorded.encode(), self.parties, self.entities, place,
        )  # fmt: skip


@lru_cache(_CACHE_SIZE)
def head(
    pattern: Pattern, token_profile: str | None, status: int, problem: str, *, with_patient: bool = False
) -> bytes:
    """What kind of event it is and how it ended. `status` is that of HTTP, `problem` the reason of a refusal.

    The profiles are those of what succeeded (BALP 3:5.7.3).
    """
    event: Json = {}
    outcome = SUCCESS if status < 400 else MINOR_FAILURE if status < 500 else SERIOUS_FAILURE
    profiles = [url for url in (profile_url(pattern, with_patient=with_patient), token_profile) if url]
    if profiles and outcome == SUCCESS:
        event["meta"] = {"profile": profiles}
    event["type"] = REST
    if pattern.subtype is not None:
        event["subtype"] = [pattern.subtype]
    event |= {"action": pattern.action, "outcome": outcome}
    if problem:
        event["outcomeDesc"] = problem
    return encode_members(event)


def instant(at: float) -> str:
    """A moment in seconds since the epoch as FHIR's `instant`, in milliseconds."""
    second = int(at)
    return f"{_second(second)}.{int((at - second) * 1000):03d}Z"


@lru_cache(2)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
