"""What one request leaves behind at the FHIR server: its id, and how long it waited there."""

import msgspec


class Trace(msgspec.Struct, gc=False):
    """Goes along with every question asked for one request. `waited` is in seconds; None until something is asked."""

    request_id: bytes
    waited: float | None = None

    def add(self, seconds: float) -> None:
        """Note another wait."""
        self.waited = seconds if self.waited is None else self.waited + seconds
