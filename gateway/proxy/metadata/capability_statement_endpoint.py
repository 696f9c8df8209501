"""`/metadata`: the FHIR server's CapabilityStatement with the gateway's security section (enforcement.md 5)."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FhirResponse, fhir_response
from gateway.fhir.resources.public_capability_statement import (
    NotACapabilityStatementError,
    PublicOperations,
    build_public_statement,
)
from gateway.policy.decision_types import UpstreamRequest
from gateway.policy.reasons import Reason
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.metadata.fhir_version_check import FhirVersionCheck
from gateway.proxy.upstream_trace import UpstreamTrace

# The statement is cached, because it can have 1.5 MB and take the server seconds to produce (hapi.md).
_LIFETIME_SECONDS = 300


class CapabilityStatementEndpoint:
    """Responds to `/metadata`, with or without a token (checklist BS-12)."""

    def __init__(
        self,
        server: FhirServer,
        *,
        public_base: str,
        oauth_uris: Mapping[str, str],
        operations: PublicOperations,
        writable_types: frozenset[str],
        check_version: FhirVersionCheck,
        on_statement: Callable[[Any], None],
    ) -> None:
        """`on_statement` is called with the FHIR server's original statement each time it is fetched."""
        self._server = server
        self._check_version = check_version
        self._on_statement = on_statement
        self._public_base = public_base
        self._oauth_uris = oauth_uris
        self._operations = operations
        self._writable_types = writable_types
        self._body = b""
        self._expires_at = 0.0
        self._running: asyncio.Task[None] | None = None

    @property
    def warning(self) -> str:
        """What is unusual about the FHIR server, for the readiness check; empty if nothing is."""
        return self._check_version.warning

    async def respond(self, trace: UpstreamTrace, now: float) -> FhirResponse:
        """The statement. `now` is in seconds since the epoch. Raises `RequestRefused` if the FHIR server sends none."""
        if now >= self._expires_at:
            await self._refresh(trace, now)
        return fhir_response(self._body)

    async def aclose(self) -> None:
        """Give up a statement that has not come yet. No request may be in progress."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _refresh(self, trace: UpstreamTrace, now: float) -> None:
        """Fetch the statement. Whoever needs it meanwhile waits for the same request: anybody may ask for it."""
        if self._running is None:
            shared = trace.for_entry()
            # It is for all, and must not wait for the share of the one who came first.
            shared.caller = None
            self._running = asyncio.create_task(self._fetch(shared, now))
            self._running.add_done_callback(self._finish)
            self._running.add_done_callback(lambda _: trace.add_waiting(shared))
        # It goes on for the others if this request ends.
        await asyncio.shield(self._running)

    async def _fetch(self, trace: UpstreamTrace, now: float) -> None:
        self._body = await self._fetch_statement(trace)
        self._expires_at = now + _LIFETIME_SECONDS

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._running = None
        if not task.cancelled():
            # Also if nobody waits any more, the failure counts as seen.
            task.exception()

    async def _fetch_statement(self, trace: UpstreamTrace) -> bytes:
        body = await self._server.fetch_own(UpstreamRequest("/metadata"), trace)
        try:
            document = orjson.loads(body)
            self._check_version(document)
            statement = build_public_statement(
                document,
                public_base=self._public_base,
                oauth_uris=self._oauth_uris,
                operations=self._operations,
                writable_types=self._writable_types,
            )
        except (ValueError, RecursionError, NotACapabilityStatementError) as error:
            raise RequestRefused(Reason.UPSTREAM_MALFORMED) from error
        self._on_statement(document)
        return orjson.dumps(statement)
