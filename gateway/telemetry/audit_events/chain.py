"""Chains of AuditEvents: each record carries the hash of the line before it, so that a change or a gap shows."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime

import orjson

from gateway.telemetry.audit_events.codes import OTHER_ENTITY
from gateway.telemetry.audit_events.unsealed_event import UnsealedEvent
from gateway.telemetry.json_text import encode_json

CHAIN = "chain"
"""The name of the entity that holds the place in the chain."""
_TAG_LENGTH = 8
_PLACE = (
    b'{"type":%b,"name":"chain","detail":[{"type":"chain","valueString":"%%b"},{"type":"sequence","valueString":"%%d"},'
    b'{"type":"previous","valueString":"%%b"}%%b]}' % encode_json(OTHER_ENTITY)
)


def line_hash(line: bytes, key: bytes | None) -> str:
    """The hash of a line without its line feed: SHA-256, or with a key its HMAC, which nobody makes without the key."""
    return hashlib.sha256(line).hexdigest() if key is None else hmac.digest(key, line, "sha256").hex()


def key_tag(key: bytes | None) -> str:
    """What the name of a chain says of its key, so that a verifier knows which of several keys it needs."""
    return "" if key is None else "-" + hmac.digest(key, b"audit chain", "sha256").hex()[:_TAG_LENGTH]


@dataclass(frozen=True, slots=True)
class Link:
    """The place of a record in its chain: the first has the sequence 1 and an empty `previous`."""

    chain: str
    sequence: int
    previous: str


class Chain:
    """One chain that grows. `last_hash` is that of its newest line."""

    def __init__(self, name: str, sequence: int, last_hash: str, key: bytes | None) -> None:
        self.name = name
        self.sequence = sequence
        self.last_hash = last_hash
        self._key = key

    @classmethod
    def start(cls, key: bytes | None) -> "Chain":
        """A new chain with a random name."""
        return cls(secrets.token_hex(8) + key_tag(key), 0, "", key)

    @classmethod
    def resume(cls, last_line: bytes, key: bytes | None) -> "Chain | None":
        """The chain that ends with this line; None if it is no line of a chain with this key."""
        link = read_link(last_line)
        if link is None or not link.chain.endswith(key_tag(key)) or (key is None and "-" in link.chain):
            return None
        return cls(link.chain, link.sequence, line_hash(last_line, key), key)

    def seal(self, event: UnsealedEvent, lost: int) -> bytes:
        """The line of an event, without its line feed, as the next record of the chain.

        `lost` events before it could not be kept. The event gets its id, which is the same however often it is sent.
        """
        self.sequence += 1
        lost_before = b',{"type":"lost_before","valueString":"%d"}' % lost if lost else b""
        name, previous = self.name.encode(), self.last_hash.encode() or b"none"
        line = event.seal(b"%b.%d" % (name, self.sequence), _PLACE % (name, self.sequence, previous, lost_before))
        self.last_hash = line_hash(line, self._key)
        return line


def entity_details(event: object, name: str) -> dict[str, str]:
    """The details of the entity with this name, by their types; empty where there is none."""
    entities = event.get("entity") if isinstance(event, dict) else None
    for entity in entities if isinstance(entities, list) else []:
        if isinstance(entity, dict) and entity.get("name") == name:
            details = entity.get("detail")
            return {
                str(detail.get("type")): str(detail.get("valueString"))
                for detail in (details if isinstance(details, list) else [])
                if isinstance(detail, dict)
            }
    return {}


def read_link(line: bytes) -> Link | None:
    """The place that a line says it has; None if it cannot be read."""
    try:
        details = entity_details(orjson.loads(line), CHAIN)
        previous = details["previous"]
        return Link(details["chain"], int(details["sequence"]), "" if previous == "none" else previous)
    except (orjson.JSONDecodeError, KeyError, ValueError):
        return None


def read_recorded_at(line: bytes) -> float | None:
    """When the event of a line was recorded, in seconds since the epoch; None if the line does not say."""
    try:
        return datetime.fromisoformat(orjson.loads(line)["recorded"]).timestamp()
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
