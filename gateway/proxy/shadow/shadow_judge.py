"""Finds what enforcement would have made of a request that is answered without it.

An answer is judged as it leaves, so that most requests cost the FHIR server nothing more.
"""

from collections.abc import Awaitable
from dataclasses import replace
from typing import assert_never

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FhirResponse, StreamedBody
from gateway.fhir.request.content import WrittenContent
from gateway.fhir.resources.resource import MalformedResourceError, open_resource
from gateway.policy.decision_types import (
    Allow,
    AllowWrite,
    BinaryFilter,
    CapabilityStatementFilter,
    Deny,
    ExportFileFilter,
    ExportFilter,
    ExportJobFilter,
    HistoryFilter,
    MetaFilter,
    PassThrough,
    ResourceFilter,
    ResponseFilter,
    SearchFilter,
)
from gateway.policy.judgement.judge_resource import is_withheld, judge_read_body
from gateway.policy.operation_filter import OperationFilter
from gateway.policy.reasons import Reason
from gateway.policy.shadow.shadow_outcome import ShadowOutcome, explain_drops
from gateway.proxy.decision_executor import DecisionExecutor
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.page_links import PageLinks
from gateway.proxy.reading.resource_checks import ResourceChecks
from gateway.proxy.request_context import RequestContext
from gateway.proxy.search_and_history.page_judge import PageJudge
from gateway.proxy.shadow.unsent_writes import UnsentWrites
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.telemetry import Telemetry


class ShadowJudge:
    """Judges answers under the token's own grant, whose context each method gets."""

    def __init__(
        self,
        server: FhirServer,
        checks: ResourceChecks,
        page_links: PageLinks,
        executor: DecisionExecutor,
        unsent_writes: UnsentWrites,
        telemetry: Telemetry,
    ) -> None:
        self._server = server
        self._checks = checks
        self._page_links = page_links
        self._executor = executor
        self._unsent_writes = unsent_writes
        self._telemetry = telemetry

    async def settle(
        self, judging: Awaitable[ShadowOutcome], outcome: ShadowOutcome, record: RequestRecord
    ) -> ShadowOutcome:
        """The outcome as `judging` finds it; `outcome` with the refusal if enforcement would have failed.

        No failure of the judgement keeps the app from its answer.
        """
        try:
            return await judging
        except RequestRefused as refused:
            return outcome.with_refusal(refused.deny)
        except MalformedResourceError:
            return outcome.with_refusal(Deny(Reason.UPSTREAM_MALFORMED))
        except Exception:
            self._telemetry.log_fault(record)
            return outcome.with_refusal(Deny(Reason.INTERNAL_ERROR))

    async def judge_answer(
        self, response: FhirResponse, enforced: Allow, outcome: ShadowOutcome, context: RequestContext
    ) -> ShadowOutcome:
        """The outcome by the answer that is about to leave. Raises `RequestRefused` and `MalformedResourceError`."""
        body, response_filter = response.body, enforced.response_filter
        if isinstance(response_filter, PassThrough | CapabilityStatementFilter):
            return outcome
        if response.status != 200 or not isinstance(body, bytes):
            return await self.try_in_full(enforced, outcome, context)
        if enforced.prerequisite is not None and not await self._executor.may_read(enforced.prerequisite, context):
            raise RequestRefused(Reason.OUT_OF_REACH)
        if isinstance(response_filter, ResourceFilter):
            await self._judge_resource(body, response_filter, context)
            return outcome
        if isinstance(response_filter, SearchFilter | HistoryFilter):
            judge = PageJudge(self._server, self._checks, response_filter, context, self._page_links)
            _, verdict = await judge.judge_page(enforced.upstream_request, body=body)
            dropped = explain_drops(verdict.dropped_by_type, verdict.withheld_by_type, context.grant)
            return replace(outcome, dropped=dropped)
        return await self.try_in_full(enforced, outcome, context)

    async def _judge_resource(self, body: bytes, resource_filter: ResourceFilter, context: RequestContext) -> None:
        text, judgement, _ = judge_read_body(body, resource_filter)
        if not await self._checks.is_visible(judgement, context):
            is_hidden_by_rule = is_withheld(open_resource(text), resource_filter.permission)
            raise RequestRefused(Reason.RECORD_WITHHELD if is_hidden_by_rule else Reason.OUT_OF_REACH)

    async def try_in_full(self, enforced: Allow, outcome: ShadowOutcome, context: RequestContext) -> ShadowOutcome:
        """The outcome by the whole way of the request as it would be enforced, whose answer is thrown away.

        Raises `RequestRefused` and `MalformedResourceError`.
        """
        response = await self._executor.execute(enforced, context)
        if isinstance(response.body, StreamedBody):
            await response.body.close()
        return replace(outcome, dropped=explain_drops(response.dropped, response.withheld, context.grant))

    async def try_write(
        self, enforced: AllowWrite, content: WrittenContent | None, context: RequestContext
    ) -> ShadowOutcome:
        """The outcome of a write, which is tried up to the moment when it would be sent. Raises `RequestRefused`."""
        await self._unsent_writes.attempt(enforced, content, context)
        return ShadowOutcome()


def is_judged_as_it_leaves(response_filter: ResponseFilter) -> bool:
    """Whether the answer itself tells what would have become of it. Otherwise the request is tried before."""
    match response_filter:
        case PassThrough() | ResourceFilter() | SearchFilter() | HistoryFilter() | CapabilityStatementFilter():
            return True
        case BinaryFilter() | MetaFilter() | OperationFilter():
            return False
        case ExportFilter() | ExportJobFilter() | ExportFileFilter():
            return False
    assert_never(response_filter)
