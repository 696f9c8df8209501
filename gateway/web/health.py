"""`/healthz`: the process answers. `/readyz`: the FHIR server behind it does too."""

import time

from starlette.requests import Request
from starlette.responses import PlainTextResponse

from gateway.storage.store import Store, StoreAwayError
from gateway.web.answer import Refused
from gateway.web.metadata import Metadata
from gateway.web.trace import Trace


class Health:
    """Two answers for an orchestrator. Neither says anything of anyone's data."""

    def __init__(self, metadata: Metadata, store: Store | None = None) -> None:
        """`store` is that of the SMART server, where there is one."""
        self._metadata = metadata
        self._store = store

    async def alive(self, _: Request) -> PlainTextResponse:
        """200 as long as the process can answer at all."""
        return PlainTextResponse("alive\n")

    async def ready(self, _: Request) -> PlainTextResponse:
        """200 where the upstream tells its CapabilityStatement and the store takes writes, else 503 with the reason."""
        try:
            await self._metadata.answer(Trace(b"readyz"), time.time())
        except Refused as refused:
            return PlainTextResponse(f"not ready: {refused.deny.reason}\n", status_code=503)
        try:
            if self._store is not None:
                await self._store.ping()
        except StoreAwayError:
            return PlainTextResponse("not ready: store_away\n", status_code=503)
        return PlainTextResponse("ready\n")
