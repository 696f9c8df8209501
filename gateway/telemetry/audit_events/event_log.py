"""Keeps an AuditEvent of every request and every event of the SMART server, before the response leaves."""

import logging
from collections.abc import Callable

from gateway.policy.permission.access import Access
from gateway.policy.reasons import Reason
from gateway.telemetry.audit_events.entities import EventForm
from gateway.telemetry.audit_events.request_events import (
    Answer,
    RequestParties,
    find_pattern,
    request_events,
    request_parties,
)
from gateway.telemetry.audit_events.sign_in_events import server_event_event
from gateway.telemetry.audit_events.spool import Spool
from gateway.telemetry.audit_events.unsealed_event import UnsealedEvent
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.server_event import REFUSALS, ServerEvent

_log = logging.getLogger(__name__)
_MAX_PARTIES = 4096
# They reveal nothing and need no token: they are no access to a record.
_NOT_RECORDED = frozenset({"OPTIONS"})


class AuditEventLog:
    """Must be used from a single event loop. `on_append` is called for what is to be handed on."""

    def __init__(
        self,
        spool: Spool,
        form: EventForm,
        issuer: str,
        *,
        refuses_when_full: bool,
        on_append: Callable[[], None] = lambda: None,
    ) -> None:
        """`issuer` is the address of the SMART server, whose users and clients are named below it."""
        self.spool = spool
        self._form = form
        self._issuer = issuer
        self._refuses_when_full = refuses_when_full
        self.on_append = on_append
        self._is_failing = False
        self._lost_before = 0
        # Each access is kept beside its parties, so that its id cannot be reused while the entry exists.
        self._encoded_parties: dict[tuple[int, str | None, int], tuple[Access | None, RequestParties]] = {}
        self.kept = 0
        self.lost = 0

    @property
    def refuses_requests(self) -> bool:
        """Whether no request may be served, because its event could not be kept."""
        return self._refuses_when_full and (self._is_failing or self.spool.is_full)

    def add_request(self, record: RequestRecord, answer: Answer) -> bool:
        """Keep the events of a request. Returns whether its response may leave.

        Anybody can send requests without an accepted token, and a client any number that are refused because it has
        too many in progress. They may fill half of the spool, so that they alone never stop the others.
        """
        if record.method in _NOT_RECORDED or record.reason is Reason.AUDIT_UNAVAILABLE:
            return True
        is_cheap = record.access is None or record.reason is Reason.TOO_MANY_REQUESTS
        if is_cheap and self.spool.is_filled_by_half():
            self._lose(1)
            return True
        return (
            self._keep(request_events(record, answer, self._form, self._parties(record))) or not self._refuses_when_full
        )

    def _parties(self, record: RequestRecord) -> RequestParties:
        """The parties of a request, encoded. Tokens repeat, and encoding them takes longer than all the rest."""
        access = record.access
        key = id(access), record.remote_address, id(find_pattern(record.interaction))
        cached = self._encoded_parties.get(key)
        if cached is None:
            if len(self._encoded_parties) >= _MAX_PARTIES:
                self._encoded_parties.clear()
            cached = self._encoded_parties[key] = access, request_parties(record, self._form)
        return cached[1]

    def add_event(self, event: ServerEvent) -> None:
        """Keep an event of the SMART server."""
        is_unproven = event.kind in REFUSALS and self.spool.is_filled_by_half()
        if not is_unproven and (not self.spool.is_full or self._refuses_when_full):
            self._keep([server_event_event(event, self._issuer, self._form)])
        else:
            self._lose(1)

    def probe(self) -> None:
        """After a failure, find out whether the spool can be written again. May block for a moment."""
        if self._is_failing:
            try:
                self.spool.probe()
            except OSError:
                return
            self._is_failing = False
            _log.info("audit events can be kept again")

    def _keep(self, events: list[UnsealedEvent]) -> bool:
        if self.spool.is_full and not self._refuses_when_full:
            self._lose(len(events))
            return False
        try:
            self.spool.append(events, self._lost_before)
        except OSError as error:
            if not self._is_failing:
                _log.error("audit events cannot be kept", extra={"problem": error.strerror})
            self._is_failing = True
            self._lose(len(events))
            return False
        self._lost_before = 0
        self.kept += len(events)
        self.on_append()
        return True

    def _lose(self, count: int) -> None:
        """The next record that can be kept says how many are missing before it."""
        self.lost += count
        self._lost_before += count
