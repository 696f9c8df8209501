"""What telemetry is told of each request, gathered along its way and handed over once."""

from typing import Protocol

import msgspec

from gateway.fhir.interaction import Interaction
from gateway.policy.access import Access
from gateway.telemetry.event import Event
from gateway.web.answer import Answer
from gateway.web.trace import Trace


class Record(msgspec.Struct, gc=False):
    """One request on its way. `started_at` and `ended_at` are in seconds of `time.perf_counter`."""

    method: str
    decision_id: str
    started_at: float
    trace: Trace
    remote: str | None
    ended_at: float = 0.0
    access: Access | None = None
    token_cached: bool | None = None
    interaction: Interaction | None = None
    answer: Answer | None = None


class Witness(Protocol):
    """Who is told."""

    def see(self, record: Record) -> None:
        """A decision has been made and its answer has left, or was broken off."""

    def note(self, event: Event) -> None:
        """Something happened at the SMART server."""

    def fault(self, record: Record) -> None:
        """An error of ours ended the request; called inside its `except` block."""
