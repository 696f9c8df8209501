"""Follows the FHIR server's paging links. A `next` that cannot be followed ends the request: no answer is cut short."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.resources.bundle import Bundle
from gateway.fhir.resources.page_target import PAGING_RELATIONS, LinkProblem, ServerAddresses, UnusableLinkError
from gateway.policy.decision_types import UpstreamRequest
from gateway.policy.reasons import Reason

_log = logging.getLogger(__name__)
_MAX_LOGGED_HOST = 100


class PageLinks:
    """Finds the requests to the FHIR server that its paging links lead to.

    `refilled_pages` counts the pages that were fetched to fill up another one, and `short_pages` the responses that
    were not filled up although further pages follow.
    """

    def __init__(self, base_url: str, others: Sequence[str]) -> None:
        """`base_url` is where the FHIR server is reached, and `others` are base URLs that it also goes by."""
        self._base_url = base_url
        self._others = tuple(others)
        self._addresses = ServerAddresses(base_url, self._others)
        self._unusable = dict.fromkeys(sorted(PAGING_RELATIONS), 0)
        self.refilled_pages = 0
        self.short_pages = 0

    def continue_counts(self, earlier: "PageLinks") -> None:
        """Go on from the counts of the links that these replace."""
        self._unusable = earlier._unusable
        self.refilled_pages += earlier.refilled_pages
        self.short_pages += earlier.short_pages

    @property
    def unusable(self) -> Mapping[str, int]:
        """How many links could not be followed, by relation."""
        return self._unusable

    def record_statement(self, statement: Any) -> None:
        """Follow links under the base URL that the CapabilityStatement names (`implementation.url`) as well."""
        implementation = statement.get("implementation") if isinstance(statement, dict) else None
        url = implementation.get("url") if isinstance(implementation, dict) else None
        if isinstance(url, str):
            self._addresses = ServerAddresses(self._base_url, (*self._others, url))

    def find_next(self, bundle: Bundle, page: UpstreamRequest) -> str | None:
        """The path and query of the page after `page`; None if it is the last one.

        Raises `RequestRefused` (upstream_link_unusable) if there is such a page but its link cannot be followed.
        """
        problem: UnusableLinkError | None = None
        for link in bundle.link:
            if link.relation.lower() == "next":
                try:
                    return self._addresses.resolve(link.url, page.path)
                except UnusableLinkError as error:
                    problem = problem or error
        if problem is None:
            return None
        self._unusable["next"] += 1
        _log_unusable(problem)
        raise RequestRefused(Reason.UPSTREAM_LINK_UNUSABLE) from problem

    def find_all(self, bundle: Bundle, page: UpstreamRequest) -> dict[str, str]:
        """The paths and queries of all paging links, by relation. Raises `RequestRefused` as `find_next` does.

        Other links than `next` lead to nothing that could not be reached without them. They are left out if they cannot
        be followed.
        """
        targets = {}
        for link in bundle.link:
            relation = link.relation.lower()
            if relation in PAGING_RELATIONS and relation != "next":
                try:
                    targets[relation] = self._addresses.resolve(link.url, page.path)
                except UnusableLinkError:
                    self._unusable[relation] += 1
        next_target = self.find_next(bundle, page)
        return targets if next_target is None else {**targets, "next": next_target}

    def page_refused(self, refused: RequestRefused, *, is_filling: bool) -> RequestRefused:
        """The refusal of a page that the FHIR server's own link leads to. It is no mistake of the client.

        With `is_filling` the server has just sent the link. Later it may no longer have the page: the link has expired.
        """
        reason = refused.deny.reason
        if reason is Reason.NOT_FOUND and not is_filling:
            return RequestRefused(Reason.PAGE_UNKNOWN)
        if reason not in {Reason.UPSTREAM_REJECTED, Reason.NOT_FOUND}:
            return refused
        self._unusable["next"] += 1
        _log.warning("the FHIR server rejects its own next link", extra={"reason": reason.value})
        return RequestRefused(Reason.UPSTREAM_LINK_UNUSABLE)


def _log_unusable(error: UnusableLinkError) -> None:
    """The host alone is logged: path and query can name a patient."""
    fields = {"problem": error.problem.value, "host": error.host[:_MAX_LOGGED_HOST]}
    if error.problem in {LinkProblem.OTHER_HOST, LinkProblem.OUTSIDE_BASE}:
        fields["remedy"] = "if this is the FHIR server's own address, name its base URL in upstream.aliases"
    _log.warning("a next link of the FHIR server cannot be followed", extra=fields)
