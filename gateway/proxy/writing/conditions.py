"""Resolves the condition of a conditional write: which resource within reach it means."""

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.resources.resource import MalformedResourceError
from gateway.policy.decision_types import Allow, SearchFilter
from gateway.policy.reasons import Reason
from gateway.policy.writing.stored_state import StoredState
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.page_links import PageLinks
from gateway.proxy.reading.resource_checks import ResourceChecks
from gateway.proxy.request_context import RequestContext
from gateway.proxy.search_and_history.page_judge import PageJudge
from gateway.proxy.writing.stored_states import read_entry_state

# The length of a page, and how many pages are read. Where nothing narrows a search it finds the records of others, too.
_PAGE_SIZE = 50
_MAX_PAGES = 10


class Conditions:
    """Searches for the resources that conditions mean, and judges what is found."""

    def __init__(self, server: FhirServer, checks: ResourceChecks, page_links: PageLinks) -> None:
        self._server = server
        self._checks = checks
        self._page_links = page_links

    async def resolve(self, condition: Allow, context: RequestContext) -> StoredState | None:
        """The one resource that meets the condition; None if none does.

        Raises `RequestRefused`: several_matches, or search_not_narrowed if there are more pages than are read.
        """
        search_filter = condition.response_filter
        if not isinstance(search_filter, SearchFilter):
            raise TypeError("A condition is a search.")
        judge = PageJudge(self._server, self._checks, search_filter, context, self._page_links)
        request = condition.upstream_request
        query = f"{request.query}&_count={_PAGE_SIZE}" if request.query else f"_count={_PAGE_SIZE}"
        page = first = type(request)(request.path, query, is_search=True)
        found: StoredState | None = None
        for _ in range(_MAX_PAGES):
            bundle, verdict = await judge.judge_page(page)
            for entry in verdict.kept_entries:
                state = None if entry is None else read_entry_state(entry)
                if state is not None and found is not None:
                    raise RequestRefused(Reason.SEVERAL_MATCHES)
                found = state or found
            target = self._page_links.find_next(bundle, page)
            if target is None:
                return found
            page = first.page(target)
        raise RequestRefused(Reason.SEARCH_NOT_NARROWED)


def resource_id(state: StoredState) -> str:
    """The id of a resource that was found. Raises `MalformedResourceError`."""
    found = state.resource.get("id")
    if not isinstance(found, str):
        raise MalformedResourceError("a match without an id")
    return found
