"""The ids that are sent to the FHIR server, and the time spent waiting for it."""

import msgspec


class UpstreamTrace(msgspec.Struct, gc=False):
    """Accompanies every upstream request that is made for one client request.

    `waited_seconds` is None until the first upstream request. The trace is not part of `RequestRecord` because the
    gateway also sends requests on its own account (readiness checks, the SMART server's pages), which have no record,
    and because a cached decision keeps the `RequestContext` and must not keep a finished record with it.
    `traceparent` is that of the client (W3C Trace Context), so that its trace goes on at the FHIR server.
    """

    request_id: bytes
    waited_seconds: float | None = None
    traceparent: bytes | None = None

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The header fields with these ids."""
        request_id = (b"x-request-id", self.request_id)
        return (request_id,) if self.traceparent is None else (request_id, (b"traceparent", self.traceparent))

    def add_wait(self, seconds: float) -> None:
        """Add the duration of one upstream request."""
        self.waited_seconds = seconds if self.waited_seconds is None else self.waited_seconds + seconds
