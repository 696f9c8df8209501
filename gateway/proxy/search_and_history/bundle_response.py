"""Responses to searches and histories: pages are judged, filled up from the next ones, and linked by sealed links."""

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FhirResponse, fhir_response
from gateway.fhir.request.interaction import Operation
from gateway.fhir.resources.bundle import write_bundle
from gateway.fhir.resources.links import UrlRewriter
from gateway.policy.decision_types import Allow, HistoryFilter, SearchFilter
from gateway.policy.judgement.judge_bundle_entries import omissions_entry
from gateway.policy.operation_filter import OperationFilter
from gateway.policy.paging_link import SealedPage
from gateway.policy.reasons import Reason
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.page_links import PageLinks
from gateway.proxy.reading.resource_checks import ResourceChecks
from gateway.proxy.request_context import RequestContext
from gateway.proxy.search_and_history.page_filler import LinkTarget, fill_page
from gateway.proxy.search_and_history.page_judge import PageJudge
from gateway.proxy.search_and_history.sealed_links import SealedLinks


class BundleResponses:
    """Responds to searches and histories with a Bundle."""

    def __init__(
        self,
        server: FhirServer,
        checks: ResourceChecks,
        sealed_links: SealedLinks,
        rewriter: UrlRewriter,
        page_links: PageLinks,
    ) -> None:
        """`page_links` follows the FHIR server's links, and `sealed_links` makes ours."""
        self._server = server
        self._checks = checks
        self._sealed_links = sealed_links
        self._rewriter = rewriter
        self._page_links = page_links

    async def respond(
        self,
        allow: Allow,
        response_filter: SearchFilter | HistoryFilter | OperationFilter,
        context: RequestContext,
        *,
        first_page: bytes | None = None,
    ) -> FhirResponse:
        """The page that `allow` requests, which is `first_page` if that has been fetched already.

        Raises `RequestRefused` and `MalformedResourceError`.
        """
        judge = PageJudge(self._server, self._checks, response_filter, context, self._page_links)
        bundle, verdict = await judge.judge_page(allow.upstream_request, body=first_page)
        hides_nothing = not allow.matches_to_skip and (
            response_filter.keeps_everything
            or (response_filter.permits_all_results and not verdict.missed_by_narrowing)
        )
        if hides_nothing:
            entries = [entry for entry in verdict.kept_entries if entry is not None]
            targets = {
                relation: (target, 0)
                for relation, target in self._page_links.find_all(bundle, allow.upstream_request).items()
            }
        else:
            entries, targets = await fill_page(bundle, verdict, allow, judge, self._page_links)
        kept = len(entries)
        if allow.omitted_parameters:
            entries.append(omissions_entry(allow.omitted_parameters))
        bundle_type = "history" if isinstance(response_filter, HistoryFilter) else "searchset"
        total = bundle.total if hides_nothing else None
        links = await self._seal_links(targets, context)
        body = write_bundle(bundle_type, links=links, entries=entries, total=total)
        response = fhir_response(self._rewriter.rewrite(body))
        response.kept, response.dropped = kept, verdict.dropped_by_type
        response.withheld = verdict.withheld_by_type
        if _excludes_what_is_hidden(response_filter):
            response.narrowing_misses = verdict.missed_by_narrowing
        return response

    async def _seal_links(self, targets: dict[str, LinkTarget], context: RequestContext) -> list[tuple[str, str]]:
        """The gateway's `self` link, and a link to each target, sealed for this grant (leak_07).

        A long link is left out while the store does not answer, unless it is the `next` one: raises `RequestRefused`.
        """
        path, query = context.address
        if isinstance(context.interaction, Operation) and not path:
            # Nothing that is sealed could be asked for again.
            if "next" in targets:
                raise RequestRefused(Reason.UPSTREAM_LINK_UNUSABLE)
            return []
        expires_at = self._sealed_links.expiry(context.now)
        own = self._sealed_links.public_link(path, query)
        links = [] if own is None else [("self", own)]
        pages = {} if own is not None else {"self": SealedPage(path, query, None, expires_at)}
        for relation, (target, matches_to_skip) in targets.items():
            page = SealedPage(path, query, target, expires_at, matches_to_skip)
            link = self._sealed_links.short_link(page, context.access)
            if link is None:
                pages[relation] = page
            else:
                links.append((relation, link))
        for relation, page in pages.items():
            try:
                links.append((relation, await self._sealed_links.stored_link(page, context.access)))
            except RequestRefused:
                if relation == "next":
                    raise
        return links


def _excludes_what_is_hidden(response_filter: SearchFilter | HistoryFilter | OperationFilter) -> bool:
    """Whether the request excludes what is hidden, so that it should not have come back."""
    match response_filter:
        case SearchFilter(is_exact=is_exact):
            return is_exact
        case OperationFilter(is_narrowed=is_narrowed):
            return is_narrowed
        case HistoryFilter():
            return False
