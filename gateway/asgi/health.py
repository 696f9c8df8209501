"""Health checks: `/healthz` for the process, `/readyz` for the FHIR server and the store as well."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse

from gateway.asgi.refusal import RequestRefused
from gateway.policy.reasons import Reason
from gateway.storage.backends.store import StoreUnavailableError

# They need no token, come every few seconds, and say nothing of anybody's request.
HEALTH_PATHS = ("/healthz", "/readyz")


class Health:
    """Responds to the probes of an orchestrator. The responses contain no personal data."""

    def __init__(
        self,
        check_fhir_server: Callable[[], Awaitable[str]],
        check_store: Callable[[], Awaitable[None]] | None,
        can_audit: Callable[[], bool],
    ) -> None:
        """`check_store` is the SMART server's; it raises `StoreUnavailableError`.

        `can_audit` returns whether the event of a request could be kept, without which none is served.

        `check_fhir_server` returns what is unusual about the FHIR server, or an empty text. It raises `RequestRefused`
        if there is no usable response.
        """
        self._check_fhir_server = check_fhir_server
        self._check_store = check_store
        self._can_audit = can_audit
        self.is_draining = False
        self._running: asyncio.Task[tuple[int, str]] | None = None

    async def liveness(self, _: Request) -> PlainTextResponse:
        """200 as long as the process can respond."""
        return PlainTextResponse("alive\n")

    async def readiness(self, _: Request) -> PlainTextResponse:
        """200 if the FHIR server sends its CapabilityStatement, the store is writable and AuditEvents can be kept.

        Otherwise, and from when the gateway begins to stop, 503 with the reason.
        """
        if self.is_draining:
            return PlainTextResponse("not ready: stopping\n", status_code=503)
        if not self._can_audit():
            # Another replica, whose spool has room, may serve instead of this one.
            return PlainTextResponse(f"not ready: {Reason.AUDIT_UNAVAILABLE}\n", status_code=503)
        # Anybody may ask, however often: whoever comes meanwhile waits for the same look.
        if self._running is None:
            self._running = asyncio.create_task(self._look())
            self._running.add_done_callback(self._finish)
        status, text = await asyncio.shield(self._running)
        return PlainTextResponse(text, status_code=status)

    async def _look(self) -> tuple[int, str]:
        """Status and text."""
        try:
            warning = await self._check_fhir_server()
        except RequestRefused as refused:
            return 503, _join_lines([f"not ready: {refused.deny.reason}", refused.hint])
        try:
            if self._check_store is not None:
                await self._check_store()
        except StoreUnavailableError:
            return 503, "not ready: store_away\n"
        return 200, _join_lines(["ready", warning])

    def _finish(self, task: asyncio.Task[tuple[int, str]]) -> None:
        self._running = None
        if not task.cancelled():
            # Also if nobody waits any more, a failure counts as seen.
            task.exception()


def _join_lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines if line)
