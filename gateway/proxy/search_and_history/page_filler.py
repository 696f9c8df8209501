"""Fills a page with permitted matches of several upstream pages, up to the page size of the FHIR server.

A short page that is followed by another one would reveal where in the order something is hidden (leak_19).
"""

from collections.abc import Iterable

from gateway.fhir.resources.bundle import Bundle, BundleEntry
from gateway.policy.decision_types import Allow
from gateway.policy.judgement.verdict import Verdict
from gateway.proxy.page_links import PageLinks
from gateway.proxy.search_and_history.page_judge import PageJudge

_NOT_A_MATCH = frozenset({"include", "outcome"})


# At most this many following pages are fetched to fill one page and to find out whether another one follows. Beyond
# this bound a page may be short although another one follows, which reveals that something is hidden, but no more
# (leak_19).
MAX_FOLLOWING_PAGES = 10

# The target of a paging link: a page of the FHIR server, and how many of its permitted matches have been shown already.
LinkTarget = tuple[str, int]


async def fill_page(
    bundle: Bundle, verdict: Verdict, allow: Allow, judge: PageJudge, page_links: PageLinks
) -> tuple[list[BundleEntry], dict[str, LinkTarget]]:
    """The entries of a page, filled up from the following ones (enforcement.md 8), and its links.

    There is a `next` link only if it leads to a match that has not been shown. All other links are removed: the
    position of the first, the last and the previous page depends on what is hidden (leak_19). Raises `RequestRefused`.
    """
    filler = PageFiller(judge, judge.page_size)
    shown_matches = filler.add_page(bundle, verdict, allow.matches_to_skip)
    if shown_matches is not None:
        return filler.entries(), {"next": (allow.upstream_request.target, shown_matches)}
    next_target = page_links.find_next(bundle, allow.upstream_request)
    for _ in range(MAX_FOLLOWING_PAGES):
        if next_target is None:
            return filler.entries(), {}
        page = allow.upstream_request.page(next_target)
        page_links.refilled_pages += 1
        bundle, next_verdict = await judge.judge_page(page, is_filling=True, only_existence=filler.is_full)
        shown_matches = filler.add_page(bundle, next_verdict)
        if shown_matches is not None:
            return filler.entries(), {"next": (next_target, shown_matches)}
        verdict.add_drop_counts(next_verdict)
        next_target = page_links.find_next(bundle, page)
    if next_target is None:
        return filler.entries(), {}
    page_links.short_pages += 1
    return filler.entries(), {"next": (next_target, 0)}


class PageFiller:
    """Collects the entries of one response: permitted matches, and the includes that come with them.

    The page size is the number of matches on the first upstream page that has any. This is how the FHIR server
    interprets `_count`, or its absence. Where it is asked for longer pages than the client, `page_size` is the limit.
    """

    __slots__ = ("_includes", "_judge", "_matches", "_page_size", "_size")

    def __init__(self, judge: PageJudge, page_size: int | None) -> None:
        self._judge = judge
        self._page_size = page_size
        self._size = 0
        self._matches: list[BundleEntry] = []
        self._includes: dict[str, BundleEntry] = {}

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another match."""
        return 0 < self._size <= len(self._matches)

    def add_page(self, bundle: Bundle, verdict: Verdict, matches_to_skip: int = 0) -> int | None:
        """Add entries of an upstream page while there is room.

        An earlier response has shown the first `matches_to_skip` permitted matches. Returns how many permitted matches
        of this upstream page have been shown in all, or None if none is left.
        """
        is_later_page = self._size > 0
        if not is_later_page:
            found = sum(1 for entry in bundle.entry if _is_match(entry))
            self._size = found if self._page_size is None else min(found, self._page_size)
        permitted_count = sum(1 for entry in verdict.kept_entries if entry is not None and _is_match(entry))
        end = min(permitted_count, matches_to_skip + self._size - len(self._matches))
        if end > matches_to_skip:
            part = _slice_matches(verdict, matches_to_skip, end)
            self._judge.drop_unexplained_includes(part)
            entries = [entry for entry in part.kept_entries if entry is not None]
            self._add([_detach(entry) for entry in entries] if is_later_page else entries)
        return end if end < permitted_count else None

    def entries(self) -> list[BundleEntry]:
        """The matches, then the includes: each once, none that is also a match, and ordered by address.

        The FHIR server's own order of includes depends on where its pages end, and so on what is hidden.
        """
        match_urls = {entry.fullUrl for entry in self._matches}
        return self._matches + [entry for url, entry in sorted(self._includes.items()) if url not in match_urls]

    def _add(self, entries: Iterable[BundleEntry]) -> None:
        for entry in entries:
            if _is_match(entry):
                self._matches.append(entry)
            elif entry.fullUrl is not None:
                self._includes.setdefault(entry.fullUrl, entry)


def _is_match(entry: BundleEntry) -> bool:
    return entry.search is None or entry.search.mode not in _NOT_A_MATCH


def _slice_matches(verdict: Verdict, start: int, end: int) -> Verdict:
    """The permitted matches from index `start` up to, but not including, `end`, and all includes of the page."""
    part = Verdict(has_includes=verdict.has_includes)
    match_number = 0
    for entry in verdict.kept_entries:
        if entry is None:
            continue
        if _is_match(entry):
            match_number += 1
            if not start < match_number <= end:
                continue
        part.kept_entries.append(entry)
    return part


def _detach(entry: BundleEntry) -> BundleEntry:
    """The entry with copies of its members, so that it does not keep the whole body of its page in memory."""
    if entry.resource is not None:
        entry.resource = {name: value.copy() for name, value in entry.resource.items()}
    return entry
