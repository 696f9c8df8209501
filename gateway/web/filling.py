"""A page as full as the server's own, of the permitted matches of as many of its pages as that takes.

A page that is short while another follows tells where in the order something hidden stands (leak_19).
"""

from collections.abc import Iterable

from gateway.fhir.bundle import Bundle, Entry
from gateway.policy.judge_bundle import Verdict
from gateway.web.judging import PageJudge

_NO_MATCH = frozenset({"include", "outcome"})


class Filling:
    """What one answer shows: permitted matches, and what comes along with them.

    Its size is that of the first of the server's pages that has any matches: that is what the server makes of `_count`,
    and of its absence.
    """

    __slots__ = ("_includes", "_judge", "_matches", "_size")

    def __init__(self, judge: PageJudge) -> None:
        self._judge = judge
        self._size = 0
        self._matches: list[Entry] = []
        self._includes: dict[str, Entry] = {}

    @property
    def full(self) -> bool:
        """Whether nothing more fits in."""
        return 0 < self._size <= len(self._matches)

    def take(self, bundle: Bundle, verdict: Verdict, shown: int = 0) -> int | None:
        """Take what there is room for of a page whose first `shown` permitted matches were shown before.

        How many of its permitted matches are shown now in all; None where none is left.
        """
        following = self._size > 0
        if not following:
            self._size = sum(1 for entry in bundle.entry if _is_match(entry))
        permitted = sum(1 for entry in verdict.kept if entry is not None and _is_match(entry))
        end = min(permitted, shown + self._size - len(self._matches))
        if end > shown:
            part = _between(verdict, shown, end)
            self._judge.drop_unaccounted(part)
            self._add([_released(entry) if following else entry for entry in part.kept if entry is not None])
        return end if end < permitted else None

    def entries(self) -> list[Entry]:
        """The matches, then what comes along with them: once, not beside a match, and in the order of the addresses.

        Whatever order the server has them in hangs on where its pages end, and so on what is hidden.
        """
        found = {entry.fullUrl for entry in self._matches}
        return self._matches + [entry for address, entry in sorted(self._includes.items()) if address not in found]

    def _add(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if _is_match(entry):
                self._matches.append(entry)
            elif entry.fullUrl is not None:
                self._includes.setdefault(entry.fullUrl, entry)


def _is_match(entry: Entry) -> bool:
    return entry.search is None or entry.search.mode not in _NO_MATCH


def _between(verdict: Verdict, start: int, end: int) -> Verdict:
    """The permitted matches from `start` to before `end`, and all that came along with the page."""
    part = Verdict(includes=verdict.includes)
    number = 0
    for entry in verdict.kept:
        if entry is None:
            continue
        if _is_match(entry):
            number += 1
            if not start < number <= end:
                continue
        part.kept.append(entry)
    return part


def _released(entry: Entry) -> Entry:
    """The entry without a hold on the page that it came with: not all pages that are looked at stay in memory."""
    if entry.resource is not None:
        entry.resource = {name: value.copy() for name, value in entry.resource.items()}
    return entry
