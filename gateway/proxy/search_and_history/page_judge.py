"""Fetches one upstream page and judges it: first each entry alone, then entries that depend on others."""

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.reference import Reference
from gateway.fhir.request.interaction import CompartmentSearch, Interaction, SystemSearch, TypeSearch
from gateway.fhir.resources.bundle import Bundle, read_bundle
from gateway.fhir.resources.resource import read_type_and_id
from gateway.fhir.search.query import Include
from gateway.policy.decision_types import MAX_HISTORY_PAGE, HistoryFilter, SearchFilter, UpstreamRequest
from gateway.policy.judgement.judge_bundle_entries import judge_bundle
from gateway.policy.judgement.judge_includes import drop_unexplained_includes
from gateway.policy.judgement.verdict import Verdict
from gateway.policy.operation_filter import OperationFilter
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.page_links import PageLinks
from gateway.proxy.reading.resource_checks import ResourceChecks
from gateway.proxy.request_context import RequestContext
from gateway.proxy.search_and_history.binary_versions import resolve_binary_versions
from gateway.proxy.search_and_history.provenance import resolve_provenances
from gateway.telemetry.tracing.spans import SpanName


class PageJudge:
    """Judges the upstream pages that are fetched for one request."""

    __slots__ = ("_checks", "_context", "_page_links", "_response_filter", "_server", "_visibility")

    def __init__(
        self,
        server: FhirServer,
        checks: ResourceChecks,
        response_filter: SearchFilter | HistoryFilter | OperationFilter,
        context: RequestContext,
        page_links: PageLinks,
    ) -> None:
        self._server = server
        self._page_links = page_links
        self._checks = checks
        self._response_filter = response_filter
        self._context = context
        # Whether the current version of a resource can be found, by the resource.
        self._visibility: dict[Reference, bool] = {}

    @property
    def page_size(self) -> int | None:
        """The longest page that the client asked for, where the FHIR server is asked for longer ones."""
        return self._response_filter.page_size if isinstance(self._response_filter, SearchFilter) else None

    async def judge_page(
        self,
        upstream_request: UpstreamRequest,
        *,
        body: bytes | None = None,
        is_filling: bool = False,
        only_existence: bool = False,
    ) -> tuple[Bundle, Verdict]:
        """The page and the verdict on it. Raises `RequestRefused` and `MalformedResourceError`.

        `body` is the page, if it has been fetched already. `is_filling`: the page fills up another one. With
        `only_existence` the verdict is exact only in whether it keeps anything at all; it may keep entries that must
        not be sent.
        """
        context = self._context
        if body is None:
            try:
                body = await self._server.fetch(upstream_request, context.trace)
            except RequestRefused as refused:
                if not upstream_request.is_page:
                    raise
                raise self._page_links.page_refused(refused, is_filling=is_filling) from refused
        with context.trace.span(SpanName.VERIFICATION):
            return await self._judge(body, only_existence=only_existence)

    async def _judge(self, body: bytes, *, only_existence: bool) -> tuple[Bundle, Verdict]:
        response_filter, context = self._response_filter, self._context
        bundle = read_bundle(body)
        verdict = judge_bundle(bundle, response_filter)
        if verdict.pending_provenances:
            await resolve_provenances(verdict, self._checks, context)
        if verdict.pending_binaries and isinstance(response_filter, HistoryFilter) and response_filter.instance:
            await resolve_binary_versions(verdict, response_filter.instance, self._server, self._checks, context)
        if isinstance(response_filter, HistoryFilter):
            if response_filter.instance is None and not response_filter.permits_all_results:
                await self._drop_invisible_versions(verdict, only_existence=only_existence)
        else:
            self.drop_unexplained_includes(verdict)
        return bundle, verdict

    def drop_unexplained_includes(self, verdict: Verdict) -> None:
        """Drop the includes of a page, or of a part of one, to which no match in it leads."""
        response_filter = self._response_filter
        if verdict.has_includes and not response_filter.keeps_everything:
            bases = response_filter.grant.rules.bases
            drop_unexplained_includes(verdict, bases, _requested_includes(self._context.interaction))

    async def _drop_invisible_versions(self, verdict: Verdict, *, only_existence: bool) -> None:
        """Drop the versions of resources whose current version cannot be found, as an instance history does (leak_15).

        The number of current versions that are fetched is bounded by the number of entries that an honest server sends.
        """
        remaining_checks = MAX_HISTORY_PAGE
        for index, entry in enumerate(verdict.kept_entries):
            address = read_type_and_id(entry.resource) if entry is not None and entry.resource is not None else None
            if address is None or self._response_filter.grant.search_permission(address[0]).covers_whole_type:
                continue
            reference = Reference(*address)
            if reference not in self._visibility and remaining_checks:
                remaining_checks -= 1
                self._visibility[reference] = await self._checks.may_find(reference, self._context)
            if not self._visibility.get(reference, False):
                verdict.kept_entries[index] = None
                verdict.record_drop(reference.resource_type)
            elif only_existence:
                return


def _requested_includes(interaction: Interaction) -> tuple[Include, ...]:
    """The `_include` and `_revinclude` parameters of the request."""
    if isinstance(interaction, TypeSearch | SystemSearch | CompartmentSearch):
        return interaction.query.includes
    return ()
