"""Tries a write up to the moment at which it would be sent, so that nothing is written."""

from typing import NoReturn

from gateway.fhir.request.content import WrittenContent
from gateway.policy.decision_types import AllowWrite, UpstreamWrite
from gateway.proxy.fhir_server import ContentToSend
from gateway.proxy.request_context import RequestContext
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.proxy.writing.write_executor import WriteExecutor
from gateway.proxy.writing.write_parts import WriteParts


class _WouldBeSentError(Exception):
    """Ends a write that is permitted."""


class _NoServer:
    async def send_write(
        self, write: UpstreamWrite, trace: UpstreamTrace, upload: ContentToSend | None = None
    ) -> NoReturn:
        raise _WouldBeSentError


class UnsentWrites:
    """Asks the FHIR server for what the decision on a write depends on, and sends it nothing to store."""

    def __init__(self, parts: WriteParts) -> None:
        self._executor = WriteExecutor(parts, _NoServer())

    async def attempt(self, allow: AllowWrite, content: WrittenContent | None, context: RequestContext) -> None:
        """Return if the write would be carried out, as far as that is known before. Raises `RequestRefused`."""
        try:
            await self._executor.execute(allow, content, context)
        except _WouldBeSentError:
            return
