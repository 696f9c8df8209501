"""The audit log: one line of JSON per decision, without tokens, bodies, ids from paths or values from queries."""

import hmac
import os
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Self, overload

import orjson

from gateway.fhir.request import interaction as fhir
from gateway.fhir.request.interaction_name import interaction_name
from gateway.policy.permission.access import Access
from gateway.policy.shadow.shadow_outcome import ShadowOutcome
from gateway.scopes.resource_types import RESOURCE_TYPES
from gateway.settings.serving.audit import Audit
from gateway.telemetry.audit_scope_text import parameter_names, scope_text
from gateway.telemetry.decisions.recent_decisions import RecentDecisions
from gateway.telemetry.json_text import encode_json
from gateway.telemetry.labels import count_by_known_type, known_type, requested_type
from gateway.telemetry.line_writer import LineWriter
from gateway.telemetry.request_record import RefusedToken, RequestRecord
from gateway.telemetry.server_event import ServerEvent

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
_STDOUT = 1
_CACHE_SIZE = 4096
_CALLER_FIELDS = ("client_id", "issuer", "subject", "user", "patient", "scope")
# More than the tokens that a worker caches by default (settings: token_cache), at 200 bytes each.
_MAX_CALLERS = 32_768

# Fewer, because each keeps its query alive.
_MAX_INTERACTIONS = 512

# A line is assembled from encoded pieces, most of which are cached because callers and requests repeat. Encoding all
# members each time takes twice as long (tests/telemetry/measure.py).
_LINE = (
    b'{"time":"%b.%06dZ","decision_id":"%b","request_id":%b,%b,"remote_address":%b,"method":%b,%b,"status":%d,"reason":%b,'
    b'"kept":%d,"dropped":%b,"narrowing_misses":%b,"duration_ms":%.3f,"upstream_ms":%b%b%b%b%b%b%b}\n'
)


class AuditLog:
    """Logs decisions and server events. Must be used from a single event loop."""

    def __init__(
        self,
        writer: LineWriter,
        *,
        hash_key: bytes | None = None,
        typed_user_hash_key: bytes | None = None,
        recent: RecentDecisions | None = None,
    ) -> None:
        """With a `hash_key`, an HMAC replaces the id of a patient wherever it occurs.

        With a `typed_user_hash_key`, one replaces the names that people typed to sign in. `recent` keeps the lines of
        decisions for the admin port.
        """
        self._writer = writer
        self._recent = recent
        self._hash_id = None if hash_key is None else lru_cache(_CACHE_SIZE)(partial(hash_id, hash_key))
        self._hash_typed_user = None if typed_user_hash_key is None else partial(hash_id, typed_user_hash_key)
        # Each access is kept beside its encoded members, so that its id cannot be reused while the entry exists.
        self._encoded_callers: dict[int, tuple[Access | None, bytes]] = {}
        # Likewise. The decision cache keeps the interactions of requests that are repeated.
        self._encoded_interactions: dict[int, tuple[fhir.RecordedInteraction | None, bytes]] = {}

    @classmethod
    def from_settings(
        cls,
        settings: Audit,
        process_lock: AbstractContextManager[object] | None = None,
        recent: RecentDecisions | None = None,
    ) -> Self:
        """The log that the settings describe. Raises `OSError` if its file cannot be opened for appending.

        Processes that share its target share `process_lock`.
        """
        path = settings.path()
        if path is None:
            writer = LineWriter(_STDOUT, close_descriptor=False, process_lock=process_lock)
        else:
            # Opened for appending, so that several processes can share the file and logrotate can truncate it.
            # Readable by its owner only.
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            writer = LineWriter(descriptor, close_descriptor=True, process_lock=process_lock)
        key = settings.hash_key.get_secret_value().encode() if settings.hash_key is not None else None
        return cls(
            writer,
            hash_key=key if settings.hash_patient else None,
            typed_user_hash_key=key if settings.hash_typed_user else None,
            recent=recent,
        )

    @property
    def lost(self) -> int:
        """The number of lines that could not be written and were discarded."""
        return self._writer.lost

    def add_request(self, record: RequestRecord) -> None:
        """Log one decision. Costs about 2 us here, and 1 us in the thread that writes."""
        line = self.encode_request(record)
        self._writer.write(line)
        if self._recent is not None:
            self._recent.add(line)

    def add_event(self, event: ServerEvent) -> None:
        """Log one event of the SMART server."""
        typed_user = event.typed_user
        if typed_user is not None and self._hash_typed_user is not None:
            typed_user = self._hash_typed_user(typed_user)
        fields = {
            "time": datetime.fromtimestamp(event.at, UTC),
            "event": event.kind.value,
            "client_id": event.client_id,
            "subject": event.subject,
            "patient": self._pseudonym(event.patient),
            "scope": event.scope,
            "authorization_id": event.authorization_id,
            "purpose_of_use": event.purpose_of_use,
            "administrator": event.administrator,
            "reason": event.reason,
            "issuer": event.issuer,
            "audience": event.audience,
            "typed_user": typed_user,
            "remote_address": event.remote_address,
            "configuration": event.configuration,
        }
        present_fields = {name: value for name, value in fields.items() if value is not None}
        self._writer.write(encode_json(present_fields, _OPTIONS))

    def encode_request(self, record: RequestRecord) -> bytes:
        """The line of a decision, with its line feed."""
        second = int(record.arrived_at)
        upstream = record.upstream_seconds
        return _LINE % (
            _format_second(second),
            int((record.arrived_at - second) * 1_000_000),
            # The gateway's own: letters, digits, a dash and a dot.
            record.decision_id.encode(),
            encode_json(record.request_id),
            self._encode_caller(record.access),
            _encode_cached(record.remote_address),
            _encode_cached(record.method),
            self._encode_interaction(record.interaction),
            record.status,
            _encode_cached(record.reason),
            record.kept,
            encode_json(count_by_known_type(record.dropped)) if record.dropped else b"{}",
            encode_json(count_by_known_type(record.narrowing_misses)) if record.narrowing_misses else b"{}",
            record.duration_seconds * 1000,
            b"null" if upstream is None else b"%.3f" % (upstream * 1000),
            b',"configuration":"%b"' % record.configuration.encode() if record.configuration else b"",
            b',"trace_id":"%b"' % record.trace_id.encode() if record.trace_id else b"",
            b',"overtaken":true' if record.overtaken else b"",
            b',"withheld":' + encode_json(count_by_known_type(record.withheld)) if record.withheld else b"",
            b"" if record.refused_token is None else _encode_refused_token(record.refused_token),
            b"" if record.shadow is None else _encode_shadow(record.shadow, record.interaction),
        )

    def _encode_caller(self, access: Access | None) -> bytes:
        """The client, the user and the patient as members of a JSON object, without its braces."""
        cached = self._encoded_callers.get(id(access))
        if cached is not None:
            return cached[1]
        fields: dict[str, str | None] = dict.fromkeys(_CALLER_FIELDS)
        if access is not None:
            user = access.user
            if user is not None and user.resource_type == "Patient":
                # The id of a user who is a patient is the id of that patient.
                user = replace(user, id=self._pseudonym(user.id))
            fields = {
                "client_id": access.client_id,
                "issuer": access.issuer,
                "subject": access.subject,
                "user": None if user is None else str(user),
                "patient": self._pseudonym(access.patient),
                "scope": scope_text(access.scopes),
            }
        members = encode_json(fields)[1:-1]
        if len(self._encoded_callers) >= _MAX_CALLERS:
            self._encoded_callers.clear()
        self._encoded_callers[id(access)] = access, members
        return members

    def _encode_interaction(self, interaction: fhir.RecordedInteraction | None) -> bytes:
        """The interaction, its type and its parameters as members of a JSON object, without its braces."""
        if isinstance(interaction, fhir.Write) and interaction.criteria is None:
            return _encode_plain_write(interaction.kind, interaction.resource_type)
        cached = self._encoded_interactions.get(id(interaction))
        if cached is not None:
            return cached[1]
        fields = {
            "interaction": interaction_name(interaction),
            "resource_type": requested_type(interaction),
            "parameters": parameter_names(interaction),
        }
        if isinstance(interaction, fhir.Operation):
            # A name of at most 64 letters, digits and signs (`path.py`), so that it holds nothing but itself.
            fields["operation"] = f"${interaction.name}"
            if interaction.arguments:
                # The cache would keep the whole body.
                return encode_json(fields)[1:-1]
        members = encode_json(fields)[1:-1]
        if isinstance(interaction, fhir.BatchOrTransaction):
            # The cache would keep the whole body.
            return members
        if len(self._encoded_interactions) >= _MAX_INTERACTIONS:
            self._encoded_interactions.clear()
        self._encoded_interactions[id(interaction)] = interaction, members
        return members

    @overload
    def _pseudonym(self, patient_id: str) -> str: ...
    @overload
    def _pseudonym(self, patient_id: None) -> None: ...
    def _pseudonym(self, patient_id: str | None) -> str | None:
        """The id of a patient as it is logged: its HMAC where a key is configured, else the id itself."""
        return patient_id if self._hash_id is None or patient_id is None else self._hash_id(patient_id)

    def close(self) -> None:
        """Write all waiting lines and stop."""
        self._writer.close()


# Nothing of a write is repeated but its kind and its type.
@lru_cache(_MAX_INTERACTIONS)
def _encode_plain_write(kind: fhir.WriteKind, resource_type: str) -> bytes:
    write = fhir.Write(kind, resource_type)
    names = interaction_name(write), requested_type(write), parameter_names(write)
    return encode_json(dict(zip(("interaction", "resource_type", "parameters"), names, strict=True)))[1:-1]


def _encode_refused_token(token: RefusedToken) -> bytes:
    """What the token says, as a member of a JSON object after the others."""
    said = {"issuer": token.issuer, "audience": list(token.audience), "client_id": token.client_id}
    return b',"refused_token":' + encode_json(said)


def _encode_shadow(outcome: ShadowOutcome, interaction: fhir.RecordedInteraction | None) -> bytes:
    """What enforcement would have done, as a member of a JSON object after the others.

    The offender is left out unless it is a type or a parameter that the line names: it may be an address with an id.
    """
    dropped: dict[str, dict[str, int]] = {}
    for (resource_type, reason), count in outcome.dropped.items():
        label = known_type(resource_type)
        by_reason = dropped.setdefault(label, {})
        by_reason[reason.value] = by_reason.get(reason.value, 0) + count
    is_name = outcome.offender in RESOURCE_TYPES or outcome.offender in parameter_names(interaction)
    said = {
        "reason": outcome.reason.value,
        "offender": outcome.offender if is_name else "",
        "required_scope": outcome.required_scope,
        "dropped": dropped,
        "rewritten": outcome.rewritten,
        "left_out": outcome.left_out,
    }
    return b',"shadow":' + encode_json({name: value for name, value in said.items() if value})


def hash_id(key: bytes, plain: str) -> str:
    """The pseudonym of an id or a name."""
    return "hmac:" + hmac.digest(key, plain.encode("utf-8", "replace"), "sha256").hex()


@lru_cache(2)
def _format_second(second: int) -> bytes:
    """A second since the epoch in the format of RFC 3339, without its zone."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


# For methods, reasons and addresses: there are few of them, and they repeat.
@lru_cache(_CACHE_SIZE)
def _encode_cached(text: str | None) -> bytes:
    return encode_json(text)
