"""What telemetry is told of each request, gathered along its way and handed over once."""

from dataclasses import dataclass
from typing import Protocol

from gateway.fhir.interaction import Interaction
from gateway.policy.access import Access
from gateway.web.answer import Answer


@dataclass(slots=True)
class Record:
    """One request on its way. Times are in seconds of `time.perf_counter`; None where that stage was not reached."""

    method: str
    decision_id: str
    started_at: float
    request_id: bytes = b""
    remote: str | None = None
    access: Access | None = None
    token_cached: bool | None = None
    interaction: Interaction | None = None
    answer: Answer | None = None
    detail: str = ""
    sent_at: float | None = None
    answered_at: float | None = None


class Witness(Protocol):
    """Who is told."""

    def see(self, record: Record) -> None:
        """A decision has been made and its answer is about to leave."""

    def fault(self, record: Record) -> None:
        """An error of ours ended the request; called inside its `except` block."""
