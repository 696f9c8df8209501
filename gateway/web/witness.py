"""What telemetry is told of each request, gathered along its way and handed over once."""

from dataclasses import dataclass, field
from typing import Protocol

from gateway.fhir.interaction import Interaction
from gateway.policy.access import Access
from gateway.web.answer import Answer
from gateway.web.trace import Trace


@dataclass(slots=True)
class Record:
    """One request on its way. `started_at` and `ended_at` are in seconds of `time.perf_counter`."""

    method: str
    decision_id: str
    started_at: float
    ended_at: float = 0.0
    trace: Trace = field(default_factory=lambda: Trace(b""))
    remote: str | None = None
    access: Access | None = None
    token_cached: bool | None = None
    interaction: Interaction | None = None
    answer: Answer | None = None
    detail: str = ""


class Witness(Protocol):
    """Who is told."""

    def see(self, record: Record) -> None:
        """A decision has been made and its answer has left, or was broken off."""

    def fault(self, record: Record) -> None:
        """An error of ours ended the request; called inside its `except` block."""
