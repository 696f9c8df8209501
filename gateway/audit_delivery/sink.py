"""What takes AuditEvents: the interface of the file and of the FHIR server."""

from collections.abc import Sequence
from typing import Protocol


class SinkUnavailable(Exception):
    """The sink cannot take records now. The message says why, without any content."""


class Sink(Protocol):
    """Where records are handed on to."""

    @property
    def name(self) -> str:
        """Its name in metrics and in the spool."""

    @property
    def max_lines(self) -> int:
        """How many records it takes at once."""

    async def write(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Take records. Returns those that it never accepts. Raises `SinkUnavailable` if it may have taken none."""

    async def aclose(self) -> None:
        """Close what is open."""
