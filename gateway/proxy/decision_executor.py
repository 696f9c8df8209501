"""Executes an allowed request: sends it upstream, judges the response, and returns only what is permitted."""

from collections.abc import Awaitable
from typing import assert_never

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FhirResponse
from gateway.fhir.reference import Reference
from gateway.fhir.request.content import WrittenContent
from gateway.fhir.resources.links import UrlRewriter
from gateway.fhir.resources.resource import MalformedResourceError, open_resource
from gateway.policy.decision_types import (
    Allow,
    AllowWrite,
    BinaryFilter,
    CapabilityStatementFilter,
    ExportFileFilter,
    ExportFilter,
    ExportJobFilter,
    HistoryFilter,
    MetaFilter,
    PassThrough,
    ResourceFilter,
    SearchFilter,
    UpstreamRequest,
)
from gateway.policy.judgement.judge_resource import is_withheld, judge_read_body
from gateway.policy.operation_filter import OperationFilter
from gateway.policy.reasons import Reason
from gateway.proxy.bulk_export.bulk_exports import BulkExports
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.metadata.capability_statement_endpoint import CapabilityStatementEndpoint
from gateway.proxy.operation_responses import OperationResponses, respond_with_meta
from gateway.proxy.reading.binary import may_read_binary, read_binary
from gateway.proxy.reading.read_response import respond_to_read
from gateway.proxy.reading.record_failures import hangs_on_record
from gateway.proxy.reading.resource_checks import ResourceChecks
from gateway.proxy.reading.streamed_response import pass_through
from gateway.proxy.request_context import RequestContext
from gateway.proxy.search_and_history.bundle_response import BundleResponses
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.proxy.writing.write_executor import WriteExecutor
from gateway.telemetry.tracing.spans import SpanName


class DecisionExecutor:
    """Executes an `Allow` or an `AllowWrite`."""

    def __init__(  # noqa: PLR0913  # each part carries out other decisions
        self,
        server: FhirServer,
        checks: ResourceChecks,
        paged_responses: BundleResponses,
        operations: OperationResponses,
        rewriter: UrlRewriter,
        capability_statement: CapabilityStatementEndpoint,
        *,
        writes: WriteExecutor,
        exports: BulkExports,
    ) -> None:
        self._server = server
        self._checks = checks
        self._paged_responses = paged_responses
        self._operations = operations
        self._rewriter = rewriter
        self._capability_statement = capability_statement
        self._exports = exports
        self._writes = writes

    def execute(self, allow: Allow, context: RequestContext) -> Awaitable[FhirResponse]:
        """The response to an allowed request, to be awaited. Raises `RequestRefused`.

        A read, the most frequent request, goes directly to its own coroutine, which saves one.
        """
        if isinstance(allow.response_filter, ResourceFilter) and allow.prerequisite is None:
            return self._read(allow.upstream_request, allow.response_filter, context)
        return self._execute(allow, context)

    async def _execute(self, allow: Allow, context: RequestContext) -> FhirResponse:
        if allow.prerequisite is not None and not await self.may_read(allow.prerequisite, context):
            raise RequestRefused(Reason.OUT_OF_REACH)
        response_filter = allow.response_filter
        try:
            match response_filter:
                case PassThrough():
                    return await self._pass_through(allow.upstream_request, context)
                case BinaryFilter():
                    return await self._read_binary(allow.upstream_request, response_filter, context)
                case CapabilityStatementFilter():
                    return await self.capability_statement(context.trace, context.now)
                case ResourceFilter():
                    return await self._read(allow.upstream_request, response_filter, context)
                case SearchFilter() | HistoryFilter():
                    return await self._paged_responses.respond(allow, response_filter, context)
                case ExportFilter():
                    return await self._exports.start(allow, response_filter, context)
                case ExportJobFilter():
                    return await self._exports.follow(allow, response_filter, context)
                case ExportFileFilter():
                    return await self._exports.hand_out(response_filter, context)
                case OperationFilter():
                    return await self._operations.respond(allow, response_filter, context)
                case MetaFilter(resource_filter=resource_filter):
                    return respond_with_meta(await self._read(allow.upstream_request, resource_filter, context))
        except MalformedResourceError as error:
            raise RequestRefused(Reason.UPSTREAM_MALFORMED) from error
        assert_never(response_filter)

    async def execute_write(
        self, allow: AllowWrite, content: WrittenContent | None, context: RequestContext
    ) -> FhirResponse:
        """The response to a write, of which everything is decided but what depends on what is stored."""
        return await self._writes.execute(allow, content, context)

    async def may_read(self, reference: Reference, context: RequestContext) -> bool:
        """Whether the token can read the resource in its current version. Raises `RequestRefused`."""
        if reference.resource_type == "Binary":
            return await may_read_binary(self._server, reference, context, self._checks)
        return await self._checks.may_read(reference, context)

    async def capability_statement(self, trace: UpstreamTrace, now: float) -> FhirResponse:
        """`/metadata`, which needs no grant. `now` is in seconds since the epoch. Raises `RequestRefused`."""
        return await self._capability_statement.respond(trace, now)

    async def _read_binary(
        self, upstream_request: UpstreamRequest, binary_filter: BinaryFilter, context: RequestContext
    ) -> FhirResponse:
        try:
            return await read_binary(
                self._server, upstream_request, binary_filter, context, self._checks, self._rewriter
            )
        except (MalformedResourceError, RequestRefused) as error:
            refused = await self._as_not_found(error, binary_filter.reference.resource_type, context)
            if refused.deny.reason is Reason.UPSTREAM_FAILED:
                # Only a Binary that exists leads to a search for documents, so a failure there would reveal it.
                refused.public_reason = Reason.NOT_FOUND
            raise refused from error

    async def _pass_through(self, upstream_request: UpstreamRequest, context: RequestContext) -> FhirResponse:
        return await pass_through(self._server, upstream_request, context, self._rewriter)

    async def _read(
        self, upstream_request: UpstreamRequest, resource_filter: ResourceFilter, context: RequestContext
    ) -> FhirResponse:
        try:
            body = await self._server.fetch(upstream_request, context.trace)
            if context.trace.spans is None:
                text, judgement, version = judge_read_body(body, resource_filter)
            else:
                with context.trace.span(SpanName.VERIFICATION):
                    text, judgement, version = judge_read_body(body, resource_filter)
            is_visible = judgement if isinstance(judgement, bool) else await self._checks.is_visible(judgement, context)
        except (MalformedResourceError, RequestRefused) as error:
            raise await self._as_not_found(error, resource_filter.reference.resource_type, context) from error
        if not is_visible:
            is_hidden_by_rule = is_withheld(open_resource(text), resource_filter.permission)
            raise RequestRefused(Reason.RECORD_WITHHELD if is_hidden_by_rule else Reason.OUT_OF_REACH)
        return respond_to_read(self._rewriter.rewrite(text), version, context.interaction)

    async def _as_not_found(
        self, error: MalformedResourceError | RequestRefused, resource_type: str, context: RequestContext
    ) -> RequestRefused:
        """The failure, presented to the client as not found if it hangs on the record.

        A client that may not see a resource must not learn from a flaw in it that it exists (leak_30). The audit log
        and the metrics have the true reason.
        """
        if isinstance(error, MalformedResourceError):
            return RequestRefused(Reason.UPSTREAM_MALFORMED, public_reason=Reason.NOT_FOUND)
        if await hangs_on_record(error, resource_type, self._server, context.trace):
            error.public_reason = Reason.NOT_FOUND
        return error
