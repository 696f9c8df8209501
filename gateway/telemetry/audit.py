"""The audit log: one line of JSON for every decision, with no token, no body, no id in a path, no value of a query."""

import hmac
import os
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Self, overload

import orjson

from gateway.policy.access import Access
from gateway.settings.model import Audit
from gateway.telemetry.event import Event
from gateway.telemetry.lines import LineWriter
from gateway.telemetry.observation import Observation, by_known_type, interaction_name, resource_type

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
_STDOUT = 1
_REMEMBERED = 4096
# More tokens than a worker keeps by default (settings: token_cache), 200 bytes each.
_CALLERS = 32_768

# A line is put together from pieces of JSON, most of which are remembered: who asks and what is asked come back again
# and again. Encoding all members anew takes twice as long (tests/telemetry/measure.py).
_LINE = (
    b'{"time":"%b.%06dZ","decision_id":%b,"request_id":%b,%b,"remote_address":%b,"method":%b,%b,"status":%d,"reason":%b,'
    b'"kept":%d,"dropped":%b,"narrowing_misses":%b,"duration_ms":%.3f,"upstream_ms":%b}\n'
)


class AuditLog:
    """Writes decisions down. To be used from one event loop."""

    def __init__(self, lines: LineWriter, *, hash_key: bytes | None = None) -> None:
        """With a `hash_key` the ids of patients are written as an HMAC, wherever they stand."""
        self._lines = lines
        self._hash = None if hash_key is None else lru_cache(_REMEMBERED)(partial(_hashed, hash_key))
        # The access is held beside its piece, so that its id cannot be given to another while the entry stands.
        self._callers: dict[int, tuple[Access | None, bytes]] = {}

    @classmethod
    def from_settings(cls, settings: Audit) -> Self:
        """The log that an operator asked for. Raises `OSError` where its file cannot be opened for appending."""
        path = settings.path()
        if path is None:
            lines = LineWriter(_STDOUT, close_descriptor=False)
        else:
            # Appending, so that several processes share a file and logrotate may truncate it; for the owner's eyes.
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            lines = LineWriter(descriptor, close_descriptor=True)
        key = settings.hash_key
        return cls(lines, hash_key=key.get_secret_value().encode() if key is not None else None)

    @property
    def lost(self) -> int:
        """Lines that could not be written and were given up."""
        return self._lines.lost

    def record(self, seen: Observation) -> None:
        """Write one decision down. Costs about 2 us here, and 1 us in the thread that writes."""
        self._lines.write(self.line(seen))

    def note(self, event: Event) -> None:
        """Write one event of the SMART server down."""
        patient = event.patient
        fields = {
            "time": datetime.fromtimestamp(event.at, UTC),
            "event": event.kind.value,
            "client_id": event.client_id,
            "subject": event.subject,
            "patient": self._hidden(patient),
            "scope": event.scope,
            "authorization_id": event.authorization_id,
            "reason": event.reason,
            "remote_address": event.remote_address,
        }
        told = {name: value for name, value in fields.items() if value is not None}
        self._lines.write(_json(told, _OPTIONS))

    def line(self, seen: Observation) -> bytes:
        """The line of a decision, with its line feed."""
        second = int(seen.at)
        upstream = seen.upstream_seconds
        return _LINE % (
            _clock(second),
            int((seen.at - second) * 1_000_000),
            _json(seen.decision_id),
            _json(seen.request_id),
            self._caller(seen.access),
            _word(seen.remote_address),
            _word(seen.method),
            _asked(interaction_name(seen.interaction), resource_type(seen.interaction)),
            seen.status,
            _word(seen.reason),
            seen.kept,
            _json(by_known_type(seen.dropped)) if seen.dropped else b"{}",
            _json(by_known_type(seen.narrowing_misses)) if seen.narrowing_misses else b"{}",
            seen.duration_seconds * 1000,
            b"null" if upstream is None else b"%.3f" % (upstream * 1000),
        )

    def _caller(self, access: Access | None) -> bytes:
        """Who asks, as the members of a JSON object."""
        known = self._callers.get(id(access))
        if known is not None:
            return known[1]
        fields: dict[str, str | None] = dict.fromkeys(("client_id", "issuer", "subject", "user", "patient"))
        if access is not None:
            user = access.user
            if user is not None and user.resource_type == "Patient":
                # A user who is a patient is named by that patient's id.
                user = replace(user, id=self._hidden(user.id))
            fields = {
                "client_id": access.client_id,
                "issuer": access.issuer,
                "subject": access.subject,
                "user": None if user is None else str(user),
                "patient": self._hidden(access.patient),
            }
        caller = _json(fields)[1:-1]
        if len(self._callers) >= _CALLERS:
            self._callers.clear()
        self._callers[id(access)] = access, caller
        return caller

    @overload
    def _hidden(self, patient: str) -> str: ...
    @overload
    def _hidden(self, patient: None) -> None: ...
    def _hidden(self, patient: str | None) -> str | None:
        """The id of a patient as it may be written."""
        return patient if self._hash is None or patient is None else self._hash(patient)

    def close(self) -> None:
        """Write what waits, and end."""
        self._lines.close()


def _hashed(key: bytes, patient: str) -> str:
    return "hmac:" + hmac.digest(key, patient.encode("utf-8", "replace"), "sha256").hex()


@lru_cache(2)
def _clock(second: int) -> bytes:
    """A second of the epoch as RFC 3339 has it, without its zone."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


@lru_cache(_REMEMBERED)
def _asked(interaction: str, type_named: str | None) -> bytes:
    """What is asked, as the members of a JSON object."""
    return _json({"interaction": interaction, "resource_type": type_named})[1:-1]


# Methods, reasons and addresses: a few, again and again.
@lru_cache(_REMEMBERED)
def _word(text: str | None) -> bytes:
    return _json(text)


def _json(value: object, options: int = 0) -> bytes:
    try:
        return orjson.dumps(value, option=options)
    except orjson.JSONEncodeError:
        # A claim may hold half a surrogate pair, which strict readers of JSON refuse even escaped.
        return orjson.dumps(_unicode(value), option=options)


def _unicode(value: object) -> object:
    if isinstance(value, dict):
        return {name: _unicode(one) for name, one in value.items()}
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
