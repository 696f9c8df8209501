"""The answer to one request of an accepted token, whether it came by itself or in a batch."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from gateway.asgi.cors import CorsPolicy
from gateway.asgi.refusal import RequestRefused
from gateway.asgi.requests_in_progress import RequestsInProgress
from gateway.asgi.response import FhirResponse
from gateway.fhir.request.binary_body import is_raw_upload
from gateway.fhir.request.content import WrittenContent
from gateway.fhir.request.interaction import (
    BundleKind,
    Capabilities,
    ExportCancel,
    ExportFile,
    ExportKickoff,
    ExportStatus,
    Interaction,
    PagingLink,
    Write,
    WriteKind,
)
from gateway.fhir.request.interaction_url import format_interaction_url
from gateway.fhir.request.parse_request import is_write
from gateway.fhir.search_parameters import SearchType
from gateway.policy.decision_types import Allow, AllowBundle, AllowWrite, ExportFilter, Permitted
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.reasons import Reason
from gateway.proxy.bearer_token.bearer_resolver import BearerResolver
from gateway.proxy.bulk_export.export_links import ExportLinks
from gateway.proxy.bundles.batch_execution import BatchExecution
from gateway.proxy.bundles.bundle_limits import BundleLimits
from gateway.proxy.bundles.entry_answers import EntryAnswers
from gateway.proxy.bundles.transaction_execution import TransactionExecution
from gateway.proxy.decision_cache import DecisionCache
from gateway.proxy.decision_executor import DecisionExecutor
from gateway.proxy.grant_cache import GrantCache
from gateway.proxy.incoming_request import (
    IncomingRequest,
    parse_interaction,
    parse_sealed_request,
    parse_written_content,
    read_body,
)
from gateway.proxy.record_response import record_permission, record_refusal
from gateway.proxy.request_context import RequestContext
from gateway.proxy.search_and_history.sealed_links import SealedLinks
from gateway.proxy.writing.binary_upload import open_upload, without_representation
from gateway.proxy.writing.transaction_writes import TransactionWrites
from gateway.telemetry.audit_events.named_patients import patients_of_body
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.telemetry import Telemetry
from gateway.telemetry.tracing.spans import SpanName
from gateway.telemetry.tracing.tracer import Tracer


@dataclass(frozen=True, slots=True)
class ProxyDependencies:
    """The parts that the proxy uses. `body_limit` and `binary_limit`, of raw content, are in bytes."""

    resolver: BearerResolver
    grants: GrantCache
    executor: DecisionExecutor
    transaction_writes: TransactionWrites
    sealed_links: SealedLinks
    export_links: ExportLinks
    cors: CorsPolicy
    telemetry: Telemetry
    in_progress: RequestsInProgress
    realm: str
    body_limit: int
    binary_limit: int
    bundle_limits: BundleLimits
    extra_parameters: Mapping[str, Mapping[str, SearchType]] = field(default_factory=dict)
    tracer: Tracer | None = None


class RequestAnswers:
    """Parses, decides and carries out requests. Read `answer` first."""

    def __init__(self, dependencies: ProxyDependencies) -> None:
        self._dependencies = dependencies
        self._decisions = DecisionCache()
        entries = EntryAnswers(self, dependencies.telemetry, dependencies.realm, dependencies.bundle_limits)
        self._batches = BatchExecution(entries)
        self._transactions = TransactionExecution(
            entries, dependencies.grants, dependencies.transaction_writes, dependencies.extra_parameters
        )

    def answer(
        self, request: IncomingRequest, access: Access, grant: Grant, record: RequestRecord
    ) -> Awaitable[FhirResponse]:
        """The response, to be awaited, as far as the grant of `access` permits it. Raises `RequestRefused`.

        What is decided already goes directly to the coroutine that carries it out.
        """
        known = self._decisions.get(request, access, grant, record.arrived_at)
        if known is not None:
            return self._carry_out(*known, request, record)
        return self._answer_unknown(request, access, grant, record)

    async def _answer_unknown(
        self, request: IncomingRequest, access: Access, grant: Grant, record: RequestRecord
    ) -> FhirResponse:
        record.interaction = await self.parse(request)
        return await self._answer_parsed(record.interaction, request, access, grant, record)

    async def metadata(self, request: IncomingRequest, record: RequestRecord) -> FhirResponse:
        """The FHIR server's CapabilityStatement, as far as it holds here. Raises `RequestRefused`."""
        record.interaction = await self.parse(request)
        if not isinstance(record.interaction, Capabilities):
            raise RequestRefused(Reason.INTERACTION_NOT_SUPPORTED)
        return await self._dependencies.executor.capability_statement(request.trace, record.arrived_at)

    async def _answer_parsed(
        self, interaction: Interaction, request: IncomingRequest, access: Access, grant: Grant, record: RequestRecord
    ) -> FhirResponse:
        with request.trace.span(SpanName.DECISION):
            try:
                allow, context = await self._decide_on(interaction, request, access, grant, record.arrived_at)
            except RequestRefused as refused:
                record_refusal(refused, record)
                raise
        return await self._carry_out(allow, context, request, record)

    def _carry_out(
        self, allow: Permitted, context: RequestContext, request: IncomingRequest, record: RequestRecord
    ) -> Awaitable[FhirResponse]:
        record.interaction = context.interaction
        record_permission(context.grant, record)
        if isinstance(allow, Allow):
            return self._dependencies.executor.execute(allow, context)
        if isinstance(allow, AllowBundle):
            execution = self._batches if allow.kind is BundleKind.BATCH else self._transactions
            return execution.execute(allow, request, context.access, context.grant, record)
        return self._write(allow, request, context, record)

    async def _write(
        self, allow: AllowWrite, request: IncomingRequest, context: RequestContext, record: RequestRecord
    ) -> FhirResponse:
        """Carry out a write. Its content is read only now: a token that may not write has nothing read."""
        if is_raw_upload(allow.write, request.headers):
            limit = self._dependencies.binary_limit
            resource, upload = open_upload(allow, request.headers, request.receive, limit)
            if self._dependencies.telemetry.keeps_events:
                record.written_patients = tuple(patients_of_body(resource.text))
            context = msgspec.structs.replace(context, upload=upload)
            return await self._dependencies.executor.execute_write(without_representation(allow), resource, context)
        content = await self._read_content(allow.write, request, record)
        return await self._dependencies.executor.execute_write(allow, content, context)

    async def _read_content(
        self, write: Write, request: IncomingRequest, record: RequestRecord
    ) -> WrittenContent | None:
        """What is written; None for a delete. Raises `RequestRefused`."""
        has_content = write.kind is not WriteKind.DELETE
        body = await read_body(request.receive, self._dependencies.body_limit) if has_content else b""
        if self._dependencies.telemetry.keeps_events:
            record.written_patients = tuple(patients_of_body(body))
        return parse_written_content(write, request.headers, body)

    async def _decide_on(
        self, interaction: Interaction, request: IncomingRequest, access: Access, grant: Grant, now: float
    ) -> tuple[Permitted, RequestContext]:
        if isinstance(interaction, PagingLink):
            return await self._follow_paging_link(interaction, request, access, grant, now)
        if isinstance(interaction, ExportStatus | ExportCancel | ExportFile):
            return await self._follow_export_link(interaction, request, access, grant, now)
        allow, context = await self._decide(interaction, request, access, grant, now)
        # Whether an export may start depends on a header, which is no part of the cache's key.
        if isinstance(allow, Allow) and not isinstance(interaction, ExportKickoff):
            self._decisions.put(request, grant, context, allow)
        return allow, context

    async def _follow_paging_link(
        self, link: PagingLink, request: IncomingRequest, access: Access, grant: Grant, now: float
    ) -> tuple[Allow, RequestContext]:
        """Decide again on the request that the link was made for, but send the upstream request that it contains."""
        sealed = await self._dependencies.sealed_links.open(link.sealed_page, access, now)
        if sealed is None:
            raise RequestRefused(Reason.PAGE_UNKNOWN)
        interaction = parse_sealed_request(sealed.path, sealed.query, self._dependencies.extra_parameters)
        allow, context = await self._decide(interaction, request, access, grant, now)
        if not isinstance(allow, Allow):
            raise RequestRefused(Reason.PAGE_UNKNOWN)
        if sealed.target is None:
            return allow, context
        return replace(
            allow,
            upstream_request=allow.upstream_request.page(sealed.target),
            omitted_parameters=(),
            matches_to_skip=sealed.matches_to_skip,
        ), context

    async def _follow_export_link(
        self,
        link: ExportStatus | ExportCancel | ExportFile,
        request: IncomingRequest,
        access: Access,
        grant: Grant,
        now: float,
    ) -> tuple[Allow, RequestContext]:
        """Decide again on the kick-off of the export that the link belongs to."""
        opened = self._dependencies.export_links.open(link, access, now)
        kickoff = parse_sealed_request(*opened.kickoff, self._dependencies.extra_parameters)
        allow, context = await self._decide(kickoff, request, access, grant, now)
        if not isinstance(allow, Allow) or not isinstance(allow.response_filter, ExportFilter):
            raise RequestRefused(Reason.EXPORT_UNKNOWN)
        response_filter = opened.filter_response(allow.response_filter)
        return replace(allow, response_filter=response_filter), msgspec.structs.replace(context, interaction=link)

    async def parse(self, request: IncomingRequest) -> Interaction:
        """The FHIR interaction of a request. Raises `RequestRefused`."""
        has_no_body = request.is_plain_get() or is_write(request.method, request.path)
        body = b"" if has_no_body else await read_body(request.receive, self._dependencies.body_limit)
        return parse_interaction(
            request.method, request.path, request.query, request.headers, body, self._dependencies.extra_parameters
        )

    async def _decide(
        self, interaction: Interaction, request: IncomingRequest, access: Access, grant: Grant, now: float
    ) -> tuple[Permitted, RequestContext]:
        allow, grant = await self._dependencies.grants.decide(interaction, access, grant, request.trace, now)
        address = format_interaction_url(interaction)
        return allow, RequestContext(interaction, address, grant, access, request.trace, now, request.accept)
