"""Answers requests of callers in shadow mode by an open grant, and records what their own would have made of them.

Whatever is not in shadow mode goes the way of every request: other callers, refused tokens, what cannot be parsed, and
what not even the open grant permits.
"""

from dataclasses import dataclass, replace

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FhirResponse
from gateway.fhir.reference import Reference
from gateway.fhir.request.binary_body import is_raw_upload
from gateway.fhir.request.interaction import Interaction, PagingLink, Read, VRead
from gateway.fhir.request.interaction_url import format_interaction_url
from gateway.policy.decision.decide import decide
from gateway.policy.decision_types import Allow, AllowWrite, Deny, PassThrough, Permitted, ResourceFilter
from gateway.policy.paging_link import SealedPage
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.shadow.open_access import Opening, ask_for_whole_resources, open_grant
from gateway.policy.shadow.shadow_outcome import ShadowOutcome, compare_requests
from gateway.proxy.decision_executor import DecisionExecutor
from gateway.proxy.incoming_request import IncomingRequest, parse_sealed_request
from gateway.proxy.record_response import record_permission, record_refusal
from gateway.proxy.request_answers import ProxyDependencies, RequestAnswers
from gateway.proxy.request_context import RequestContext
from gateway.proxy.search_and_history.sealed_links import SealedLinks
from gateway.proxy.shadow.shadow_judge import ShadowJudge, is_judged_as_it_leaves
from gateway.proxy.shadow.shadowed_callers import ShadowedCallers
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.tracing.spans import SpanName


@dataclass(frozen=True, slots=True)
class ShadowParts:
    """What shadow mode has for itself.

    Its `sealed_links` have a key of their own: a page that was asked for without enforcement must not be followed under
    it, because the total and the links of such a page are taken for those of a narrowed search. `executor` makes them.
    """

    callers: ShadowedCallers
    sealed_links: SealedLinks
    executor: DecisionExecutor
    judge: ShadowJudge


@dataclass(frozen=True, slots=True)
class _Opened:
    """A request in shadow mode. `page` is the link that led to it, if one did. `context` has the open grant."""

    interaction: Interaction
    page: SealedPage | None
    allow: Allow | AllowWrite
    context: RequestContext


class ShadowedAnswers(RequestAnswers):
    """Answers requests of all callers. Entries of a batch come here one by one."""

    def __init__(self, dependencies: ProxyDependencies, parts: ShadowParts) -> None:
        super().__init__(dependencies)
        self._parts = parts

    async def answer(
        self, request: IncomingRequest, access: Access, grant: Grant, record: RequestRecord
    ) -> FhirResponse:
        """See `RequestAnswers`."""
        opening = self._parts.callers.find(access, record.arrived_at)
        if opening is None:
            return await super().answer(request, access, grant, record)
        interaction = record.interaction = await self.parse(request)
        opened = await self._open(interaction, request, access, grant, opening, record.arrived_at)
        if opened is None:
            return await self._answer_parsed(interaction, request, access, grant, record)
        record.interaction = opened.interaction
        enforced = await self._decide_in_shadow(opened, access, grant, record)
        if isinstance(opened.allow, AllowWrite):
            return await self._write_in_shadow(opened.allow, enforced, opened.context, request, record)
        return await self._answer_in_shadow(opened, opened.allow, enforced, record)

    async def _open(
        self,
        interaction: Interaction,
        request: IncomingRequest,
        access: Access,
        grant: Grant,
        opening: Opening,
        now: float,
    ) -> _Opened | None:
        """The request in shadow mode; None if it is not, or if it has no way to the FHIR server."""
        page = None
        if isinstance(interaction, PagingLink):
            page = await self._parts.sealed_links.open(interaction.sealed_page, access, now)
            if page is None:
                return None
            interaction = parse_sealed_request(page.path, page.query, self._dependencies.extra_parameters)
            page = page if page.target is not None else None
        if not opening.includes(interaction, grant.rules):
            return None
        own_grant = open_grant(access, grant.rules, opening)
        allow = decide(ask_for_whole_resources(interaction), own_grant)
        if not isinstance(allow, Allow | AllowWrite):
            return None
        if isinstance(allow, AllowWrite) and is_raw_upload(allow.write, request.headers):
            return None
        if isinstance(allow, Allow) and page is not None:
            allow = _follow(allow, page)
        address = format_interaction_url(interaction)
        context = RequestContext(interaction, address, own_grant, access, request.trace, now, request.accept)
        return _Opened(interaction, page, allow, context)

    async def _decide_in_shadow(
        self, opened: _Opened, access: Access, grant: Grant, record: RequestRecord
    ) -> tuple[Permitted, Grant] | Deny:
        """What enforcement decides, and under which grant."""
        trace, now = opened.context.trace, opened.context.now
        try:
            with trace.span(SpanName.DECISION):
                decided = await self._dependencies.grants.decide(opened.interaction, access, grant, trace, now)
        except RequestRefused as refused:
            record_refusal(refused, record)
            return refused.deny
        record_permission(decided[1], record)
        return decided

    async def _answer_in_shadow(
        self, opened: _Opened, allow: Allow, enforced: tuple[Permitted, Grant] | Deny, record: RequestRecord
    ) -> FhirResponse:
        context, judge = opened.context, self._parts.judge
        if isinstance(enforced, Deny):
            record.shadow = ShadowOutcome.refused(enforced)
            return await self._parts.executor.execute(allow, context)
        decision, grant = enforced
        if not isinstance(decision, Allow):
            raise TypeError("A read is decided in another way than by its open grant.")
        if opened.page is None:
            outcome = compare_requests(decision, decide(opened.interaction, context.grant))
        else:
            outcome, decision = _AS_IS, _follow(decision, opened.page)
        record.shadow = outcome
        own_context = _with_grant(context, grant)
        if not is_judged_as_it_leaves(decision.response_filter):
            record.shadow = await judge.settle(judge.try_in_full(decision, outcome, own_context), outcome, record)
            return await self._parts.executor.execute(allow, context)
        if isinstance(decision.response_filter, ResourceFilter):
            allow = _read_whole(allow, context)
        response = await self._parts.executor.execute(allow, context)
        judging = judge.judge_answer(response, decision, outcome, own_context)
        record.shadow = await judge.settle(judging, outcome, record)
        return response

    async def _write_in_shadow(
        self,
        allow: AllowWrite,
        enforced: tuple[Permitted, Grant] | Deny,
        context: RequestContext,
        request: IncomingRequest,
        record: RequestRecord,
    ) -> FhirResponse:
        content = await self._read_content(allow.write, request, record)
        if isinstance(enforced, Deny):
            record.shadow = ShadowOutcome.refused(enforced)
        else:
            decision, grant = enforced
            if not isinstance(decision, AllowWrite):
                raise TypeError("A write is decided in another way than by its open grant.")
            judge = self._parts.judge
            trying = judge.try_write(decision, content, _with_grant(context, grant))
            record.shadow = await judge.settle(trying, _AS_IS, record)
        return await self._parts.executor.execute_write(allow, content, context)


_AS_IS = ShadowOutcome()


def _follow(allow: Allow, page: SealedPage) -> Allow:
    """The decision on a request, for a further page of it."""
    return replace(
        allow,
        upstream_request=allow.upstream_request.page(page.target or ""),
        omitted_parameters=(),
        matches_to_skip=page.matches_to_skip,
    )


def _read_whole(allow: Allow, context: RequestContext) -> Allow:
    """The decision on a read so that its whole body is at hand, instead of being passed on in pieces."""
    interaction = context.interaction
    if not isinstance(allow.response_filter, PassThrough) or not isinstance(interaction, Read | VRead):
        return allow
    version_id = interaction.version_id if isinstance(interaction, VRead) else None
    reference = Reference(interaction.resource_type, interaction.id, version_id)
    permission = context.grant.read_permission(interaction.resource_type)
    return replace(allow, response_filter=ResourceFilter(permission, reference, context.grant))


def _with_grant(context: RequestContext, grant: Grant) -> RequestContext:
    return RequestContext(
        context.interaction, context.address, grant, context.access, context.trace, context.now, context.accept
    )
