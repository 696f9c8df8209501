"""The ASGI application below the FHIR base: token, interaction, decision, upstream request, judgement, response.

Read `FhirProxy._handle` first: it handles one request from top to bottom.
"""

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from gateway.asgi.client_certificate import is_presented_with
from gateway.asgi.cors import ANY_ORIGIN
from gateway.asgi.refusal import RequestRefused, refusal_response
from gateway.asgi.requests_in_progress import of_address
from gateway.asgi.response import FhirResponse, StreamedBody, send_response
from gateway.asgi.types import CONNECTION, WHOLE_RESPONSE, Receive, Scope, Send
from gateway.credentials.token_refused import TokenRefused
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.reasons import Reason
from gateway.proxy.bearer_token.connection_memory import ConnectionMemory
from gateway.proxy.incoming_request import IncomingRequest, choose_request_id, join_headers
from gateway.proxy.kept_events import keep_event
from gateway.proxy.record_response import record_response
from gateway.proxy.request_answers import ProxyDependencies, RequestAnswers
from gateway.proxy.upstream_trace import UpstreamTrace, open_trace
from gateway.telemetry.audit_events.request_events import Answer
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.tracing.spans import SpanName
from gateway.telemetry.tracing.trace_context import TRACEPARENT
from gateway.upstream.caller import Caller

_METADATA_PATH = b"/metadata"
# Whoever is refused for these reasons has to wait a moment, also if it does not want to.
_THROTTLED = frozenset({Reason.TOO_MANY_REQUESTS, Reason.OVERLOADED})
_NO_EXTENSIONS: Mapping[str, Any] = MappingProxyType({})


class Answers(Protocol):
    """What the requests below one base are answered with."""

    def answer(
        self, request: IncomingRequest, access: Access, grant: Grant, record: RequestRecord
    ) -> Awaitable[FhirResponse]:
        """The response, to be awaited, as far as the grant of `access` permits it. Raises `RequestRefused`."""

    async def metadata(self, request: IncomingRequest, record: RequestRecord) -> FhirResponse:
        """The CapabilityStatement, which needs no token. Raises `RequestRefused`."""


class FhirProxy:
    """A plain ASGI callable, without middleware or framework objects (performance.md rule 3)."""

    def __init__(self, base_path: str, dependencies: ProxyDependencies, answers: Answers | None = None) -> None:
        """`base_path` is the path of a public base URL, without a trailing slash.

        Without `answers`, it is that of the FHIR server's records.
        """
        self._base_path, self._base_length = base_path, len(base_path)
        self._dependencies = dependencies
        self._answers: Answers = RequestAnswers(dependencies) if answers is None else answers
        self._keeps_events = dependencies.telemetry.keeps_events
        # A decision id is this process's random prefix and a counter: unique across processes, and cheap.
        self._process_id = secrets.token_hex(6)
        self._counter = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, and report it to telemetry."""
        started_at = time.perf_counter()
        method, fields, client = scope["method"], scope["headers"], scope["client"]
        headers = dict(fields)
        if len(headers) != len(fields):
            headers = join_headers(fields)
        decision_id = f"{self._process_id}-{next(self._counter):x}"
        sent_id = headers.get(b"x-request-id")
        request_id = decision_id.encode() if sent_id is None else choose_request_id(sent_id, decision_id)
        tracer = self._dependencies.tracer
        is_traced = tracer is not None or TRACEPARENT in headers
        trace = open_trace(request_id, headers, tracer) if is_traced else UpstreamTrace(request_id)
        record = RequestRecord(
            method, decision_id, request_id.decode("ascii"), time.time(), client[0] if client else None
        )
        if is_traced:
            record.trace_id = trace.trace_id
        request = IncomingRequest(
            method, scope["raw_path"][self._base_length :], scope["query_string"], headers, receive, trace
        )
        extensions = scope.get("extensions", _NO_EXTENSIONS)
        connection = extensions.get(CONNECTION) or ConnectionMemory()
        try:
            if method == "OPTIONS":
                response = FhirResponse(204, Reason.PERMITTED, b"")
            else:
                response = await self._handle(request, connection, scope, record)
        except RequestRefused as refused:
            connection.is_held_back = refused.deny.reason in _THROTTLED
            response = refusal_response(refused, realm=self._dependencies.realm)
        except Exception:
            self._dependencies.telemetry.log_fault(record)
            response = refusal_response(RequestRefused(Reason.INTERNAL_ERROR), realm=self._dependencies.realm)
        except asyncio.CancelledError:
            # The gateway ends before the FHIR server has responded. What was asked of it may happen all the same.
            self._dependencies.telemetry.keep_event(record, Answer())
            self._report(record, request, started_at)
            raise
        record_response(response, record)
        if self._keeps_events:
            kept = keep_event(response, record, self._dependencies.telemetry, self._dependencies.realm)
            if kept is not response and isinstance(response.body, StreamedBody):
                await response.body.close()
            response = kept
        self._add_headers(response, request, record)
        try:
            await send_response(
                send, response, head=method == "HEAD", supports_whole_response=WHOLE_RESPONSE in extensions
            )
        finally:
            if isinstance(response.body, StreamedBody):
                # What was taken out of it, and whether it broke off, is known only now.
                record_response(response, record)
                if response.body.is_judged:
                    self._dependencies.telemetry.keep_event(record, Answer(is_end=True))
            self._report(record, request, started_at)

    def _report(self, record: RequestRecord, request: IncomingRequest, started_at: float) -> None:
        trace = request.trace
        record.upstream_seconds = trace.waited_seconds
        record.duration_seconds = time.perf_counter() - started_at
        self._dependencies.telemetry.add_request(record)
        if trace.spans is not None and self._dependencies.tracer is not None:
            self._dependencies.tracer.finish_request(trace.spans, record, self._base_path, request.path)
            trace.spans = None

    async def _handle(
        self, request: IncomingRequest, connection: ConnectionMemory, scope: Scope, record: RequestRecord
    ) -> FhirResponse:
        if request.path == _METADATA_PATH:
            address = of_address(record.remote_address)
            reason = self._dependencies.in_progress.admit(address, scope)
            if reason is not None:
                raise RequestRefused(reason)
            request.trace.caller = Caller(address, connection.waits)
            return await self._answers.metadata(request, record)
        if self._keeps_events and self._dependencies.telemetry.refuses_requests:
            raise RequestRefused(Reason.AUDIT_UNAVAILABLE)
        now = record.arrived_at
        authorization = request.headers.get(b"authorization")
        access = self._dependencies.resolver.resolve_cached(authorization, connection, now)
        record.token_cached = access is not None
        if access is None:
            access = await self._resolve_token(request, record)
        if isinstance(access, TokenRefused):
            record.refused_token = access.claims
            # A new exception: a cached one that is raised repeatedly would accumulate tracebacks.
            raise RequestRefused(access.reason)
        record.access = access
        if access.certificate_thumbprint is not None and not is_presented_with(access.certificate_thumbprint, scope):
            raise RequestRefused(Reason.TOKEN_CERTIFICATE_MISSING)
        client = (access.issuer, access.client_id)
        reason = self._dependencies.in_progress.admit(client, scope)
        if reason is not None:
            raise RequestRefused(reason)
        request.trace.caller = Caller(client, connection.waits)
        grant = self._dependencies.grants.for_access(access)
        return await self._answers.answer(request, access, grant, record)

    async def _resolve_token(self, request: IncomingRequest, record: RequestRecord) -> Access | TokenRefused:
        """Check a token that is not known. Meanwhile the request counts for its address: anybody can send one."""
        address, in_progress = of_address(record.remote_address), self._dependencies.in_progress
        reason = in_progress.enter_unproven(address)
        if reason is not None:
            raise RequestRefused(reason)
        try:
            with request.trace.span(SpanName.TOKEN):
                authorization = request.headers.get(b"authorization")
                return await self._dependencies.resolver.resolve(authorization, record.arrived_at)
        except TokenRefused as refused:
            return refused
        finally:
            in_progress.leave(address)

    def _add_headers(self, response: FhirResponse, request: IncomingRequest, record: RequestRecord) -> None:
        cors, origin = self._dependencies.cors, request.headers.get(b"origin")
        response.headers.append((b"x-request-id", request.trace.request_id))
        response.headers.append((b"x-decision-id", record.decision_id.encode()))
        is_public = request.path == _METADATA_PATH
        if request.method == "OPTIONS":
            response.headers.extend(cors.preflight(origin, public=is_public))
        elif is_public:
            response.headers.extend(ANY_ORIGIN)
        elif origin is not None:
            access = record.access
            # Only clients registered here have registered origins, not those of another issuer.
            client_id = access.client_id if access is not None and access.authorization_id is not None else None
            response.headers.extend(cors.headers(origin, client_id))
