"""The comparison of two configurations as lines of text, and as JSON."""

from collections.abc import Iterator
from typing import Any

from gateway.commands.comparing.compare_policies import Change, ChangeKind, Comparison

_MAX_SHOWN = 20
_MAX_SENTENCES = 4
_MAX_LENGTH = 300
_NOTES = {
    ChangeKind.REFUSED: "refused now: {new}",
    ChangeKind.ALLOWED: "refused before: {old}",
    ChangeKind.REASON: "{old} before, {new} now",
}


def report_lines(comparison: Comparison) -> Iterator[str]:
    """The report. Of each kind the most frequent changes are shown."""
    for kind in ChangeKind:
        changes = [(change, count) for change, count in comparison.changes if change.kind is kind]
        if changes:
            yield f"{kind}: {_requests(sum(count for _, count in changes))}"
            for change, count in changes[:_MAX_SHOWN]:
                yield from _describe(change, count)
            if len(changes) > _MAX_SHOWN:
                yield f"  and {len(changes) - _MAX_SHOWN:,} more; --json has them all"
    yield f"unchanged: {_requests(comparison.unchanged)}"
    if comparison.undecided:
        yield f"could not be decided offline: {_requests(sum(count for _, count in comparison.undecided))}"
        for why, count in comparison.undecided:
            yield f"  {count:,}: {why}"
    if comparison.decided_otherwise:
        yield f"Note: {_requests(comparison.decided_otherwise)} decided otherwise when recorded than OLD decides."
    if comparison.unreadable:
        yield f"Note: {_number(comparison.unreadable, 'line')} could not be read."


def report_json(comparison: Comparison) -> dict[str, Any]:
    """The report with every change."""
    return {
        "requests": comparison.total,
        "changes": [_as_json(change, count) for change, count in comparison.changes],
        "unchanged": comparison.unchanged,
        "undecided": [{"why": why, "count": count} for why, count in comparison.undecided],
        "decided_otherwise": comparison.decided_otherwise,
        "unreadable_lines": comparison.unreadable,
    }


def _describe(change: Change, count: int) -> Iterator[str]:
    note = _NOTES.get(change.kind, "").format(old=change.old.reason, new=change.new.reason)
    yield f"  {count:,} of {change.client_id}: {change.request}{f' ({note})' if note else ''}"
    if change.kind is not ChangeKind.NARROWED:
        return
    if change.old.sent != change.new.sent:
        yield f"      sent before: {_cut(' and '.join(change.old.sent) or 'nothing is added')}"
        yield f"      sent now:    {_cut(' and '.join(change.new.sent) or 'nothing is added')}"
    for label, ones, others in (("no more:", change.old, change.new), ("now:", change.new, change.old)):
        differing = [text for text in ones.shown if text not in others.shown]
        yield from (f"      permitted {label} {_cut(text)}" for text in differing[:_MAX_SENTENCES])
        if len(differing) > _MAX_SENTENCES:
            yield f"      permitted {label} {len(differing) - _MAX_SENTENCES} more; --json has them all"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}..."


def _as_json(change: Change, count: int) -> dict[str, Any]:
    return {
        "kind": change.kind.name.lower(),
        "count": count,
        "client_id": change.client_id,
        "request": change.request,
        "old": {"reason": change.old.reason, "sent": change.old.sent, "permitted": change.old.shown},
        "new": {"reason": change.new.reason, "sent": change.new.sent, "permitted": change.new.shown},
    }


def _requests(count: int) -> str:
    return _number(count, "request")


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
