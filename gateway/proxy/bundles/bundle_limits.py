"""The bounds of a batch or transaction."""

from dataclasses import dataclass

from gateway.asgi.refusal import RequestRefused
from gateway.policy.reasons import Reason


@dataclass(frozen=True, slots=True)
class BundleLimits:
    """How many entries a Bundle may have, how many seconds it may take, and how many bytes its answers may have."""

    entries: int
    seconds: float
    answer_bytes: int

    def check(self, entries: int) -> None:
        """Raises `RequestRefused` if there are more entries than allowed."""
        if entries > self.entries:
            raise RequestRefused(
                Reason.REQUEST_TOO_LARGE, "Bundle.entry", hint=f"A Bundle may have {self.entries} entries."
            )
