"""Decides recorded requests under two configurations, and groups those whose decisions differ."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from gateway.commands.comparing.configured_policy import ConfiguredPolicy
from gateway.commands.comparing.recorded_file import RecordedRequests
from gateway.policy.reasons import Reason
from gateway.policy.recording.outcome import Outcome
from gateway.policy.recording.recorded_request import RecordedRequest
from gateway.policy.recording.replay_request import Undecidable
from gateway.settings.model import Settings


class ChangeKind(StrEnum):
    """What another configuration does to a decision, the gravest first."""

    REFUSED = "allowed -> refused"
    ALLOWED = "refused -> allowed"
    NARROWED = "narrowed differently"
    REASON = "refused for another reason"


@dataclass(frozen=True, slots=True)
class Change:
    """A decision that differs, on requests of one client. `old` and `new` are the outcomes."""

    kind: ChangeKind
    client_id: str
    request: str
    old: Outcome
    new: Outcome


@dataclass(frozen=True, slots=True)
class Comparison:
    """What another configuration changes, in numbers of requests.

    `undecided` are those of which the recording does not say enough, by the reason. `decided_otherwise` were decided in
    another way when they were recorded than the old configuration decides them.
    """

    changes: tuple[tuple[Change, int], ...]
    unchanged: int
    undecided: tuple[tuple[str, int], ...]
    decided_otherwise: int
    unreadable: int

    @property
    def total(self) -> int:
        """The number of requests."""
        return self.unchanged + sum(count for _, count in (*self.changes, *self.undecided))


def compare_policies(old: Settings, new: Settings, recorded: RecordedRequests) -> Comparison:
    """Decide each request under both."""
    old_policy, new_policy = ConfiguredPolicy(old, new, old), ConfiguredPolicy(new, old, old)
    changes, undecided = Counter[Change](), Counter[str]()
    unchanged = decided_otherwise = 0
    for request, count in recorded.counts:
        before, after = old_policy.decide(request), new_policy.decide(request)
        if isinstance(before, Outcome) and request.decision not in {None, before.reason}:
            decided_otherwise += count
        found = _compare(request, before, after)
        if isinstance(found, Undecidable):
            undecided[found.why] += count
        elif found is None:
            unchanged += count
        else:
            changes[found] += count
    kinds = list(ChangeKind)
    in_order = sorted(changes.items(), key=lambda item: (kinds.index(item[0].kind), -item[1], item[0].client_id))
    return Comparison(
        tuple(in_order), unchanged, tuple(undecided.most_common()), decided_otherwise, recorded.unreadable
    )


def _compare(
    request: RecordedRequest, before: Outcome | Undecidable, after: Outcome | Undecidable
) -> Change | Undecidable | None:
    """The change, or None if there is none.

    Whether a token is accepted does not depend on what it asks for: where that cannot be decided again, what was
    recorded counts.
    """
    if isinstance(before, Undecidable) and request.decision is not None:
        before = Outcome(request.decision) if _is_of_token(after) else before
    if isinstance(before, Undecidable):
        return before
    if isinstance(after, Undecidable):
        return after
    if before == after:
        return None
    is_of_token = _is_of_token(before) or _is_of_token(after)
    target = "every request" if is_of_token else request.target
    if is_of_token:
        before, after = Outcome(before.reason), Outcome(after.reason)
    return Change(_kind_of(before, after), request.client_id, target, before, after)


def _is_of_token(outcome: Outcome | Undecidable) -> bool:
    return isinstance(outcome, Outcome) and outcome.reason in {Reason.TOKEN_INACTIVE, Reason.TOKEN_ISSUER_UNKNOWN}


def _kind_of(before: Outcome, after: Outcome) -> ChangeKind:
    if before.is_allowed and after.is_allowed:
        return ChangeKind.NARROWED
    if before.is_allowed:
        return ChangeKind.REFUSED
    return ChangeKind.ALLOWED if after.is_allowed else ChangeKind.REASON
