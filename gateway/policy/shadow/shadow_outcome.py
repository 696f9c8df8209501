"""Shadow mode: what enforcement would have made of a request, in names and numbers that tell nothing of a record."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import parse_qsl

from gateway.policy.decision_types import Allow, Decision, Deny
from gateway.policy.judgement.verdict import UNREADABLE
from gateway.policy.permission.grant import Grant
from gateway.policy.reasons import Reason
from gateway.scopes.model import Letter

# Stands among the names of parameters for a search that is sent to a compartment (`Patient/A/Observation`).
COMPARTMENT = "compartment"

Drops = Mapping[tuple[str, Reason], int]
_NO_DROPS: Drops = MappingProxyType({})


class ShadowKind(StrEnum):
    """What an app would have noticed of enforcement. The values are stable.

    UNCHANGED: the same answer. SHORTENED: an answer without records, or without what a part of the query adds. REFUSED:
    a refusal.
    """

    UNCHANGED = "unchanged"
    SHORTENED = "shortened"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ShadowOutcome:
    """What would have become of a request.

    `reason` is that of its refusal, or says that it would have been permitted. `offender` and `required_scope` are
    those of the refusal. `dropped` counts the resources that would have been left out, by type and reason. `rewritten`
    are the names of the parameters that would have been added, changed or taken away in what is sent to the FHIR
    server, and `left_out` those of which the app would have been told so.
    """

    reason: Reason = Reason.PERMITTED
    offender: str = ""
    required_scope: str = ""
    dropped: Drops = field(default_factory=lambda: _NO_DROPS)
    rewritten: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @classmethod
    def refused(cls, deny: Deny) -> "ShadowOutcome":
        """The outcome of a request that would have been refused as a whole."""
        return cls(deny.reason, deny.offender, deny.required_scope)

    @property
    def kind(self) -> ShadowKind:
        """What the app would have noticed."""
        if self.reason is not Reason.PERMITTED:
            return ShadowKind.REFUSED
        return ShadowKind.SHORTENED if self.dropped or self.left_out else ShadowKind.UNCHANGED

    def with_refusal(self, deny: Deny) -> "ShadowOutcome":
        """The outcome, with a refusal that was found later."""
        return replace(self, reason=deny.reason, offender=deny.offender, required_scope=deny.required_scope)


def compare_requests(enforced: Allow, opened: Decision) -> ShadowOutcome:
    """The outcome as far as the requests to the FHIR server tell. `opened` is the decision under the open grant."""
    request = enforced.upstream_request
    open_request = opened.upstream_request if isinstance(opened, Allow) else request
    pairs = set(parse_qsl(request.query, keep_blank_values=True))
    open_pairs = set(parse_qsl(open_request.query, keep_blank_values=True))
    left_out = tuple(dict.fromkeys(note.partition("=")[0] for note in enforced.omitted_parameters))
    names = {name for name, _ in pairs ^ open_pairs}
    if request.path != open_request.path:
        names.add(COMPARTMENT)
    return ShadowOutcome(rewritten=tuple(sorted(names)), left_out=left_out)


def explain_drops(dropped: Mapping[str, int], withheld: Mapping[str, int], grant: Grant) -> Drops:
    """The reasons for which `grant` would have left resources out, of which counts by type are known.

    `withheld` are those of the `dropped` ones that only a record rule hides.
    """
    drops: dict[tuple[str, Reason], int] = {}
    for resource_type, count in dropped.items():
        by_rule = withheld.get(resource_type, 0)
        if by_rule:
            drops[resource_type, Reason.RECORD_WITHHELD] = by_rule
        if count > by_rule:
            drops[resource_type, _reason_for(resource_type, grant)] = count - by_rule
    return drops


def _reason_for(resource_type: str, grant: Grant) -> Reason:
    if resource_type == UNREADABLE:
        return Reason.UPSTREAM_MALFORMED
    if grant.read_or_search_permission(resource_type):
        return Reason.OUT_OF_REACH
    return grant.refusal_reason(resource_type, Letter.READ, Letter.SEARCH)
