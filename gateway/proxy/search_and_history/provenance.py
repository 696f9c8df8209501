"""Resolves the Provenances of a page: each is visible if one of its targets, on the page or fetched, vouches for it."""

from gateway.fhir.reference import Reference
from gateway.fhir.resources.resource import Members
from gateway.policy.judgement.compartment_members import is_member
from gateway.policy.judgement.provenance_targets import ProvenanceTargets
from gateway.policy.judgement.verdict import Verdict
from gateway.policy.permission.reach import CompartmentSet
from gateway.proxy.reading.resource_checks import MAX_TARGETS, ResourceChecks
from gateway.proxy.request_context import RequestContext

# Whether a target vouches for what members of these compartments can vouch for.
_Checked = dict[tuple[Reference, frozenset[CompartmentSet]], bool]


async def resolve_provenances(verdict: Verdict, checks: ResourceChecks, context: RequestContext) -> None:
    """Judge the pending Provenances by their targets: first those on the page, then fetched ones, within a bound.

    Raises `RequestRefused` if the FHIR server fails in a way that does not concern a single target.
    """
    checked: _Checked = {}
    resources = {entry.fullUrl: entry.resource for entry in verdict.kept_entries if entry is not None}
    for index, (entry, targets) in verdict.pending_provenances.items():
        if _is_vouched_on_page(targets, resources, context) or await _is_vouched_by_fetched_target(
            targets, checked, checks, context
        ):
            verdict.kept_entries[index] = entry
        else:
            verdict.record_drop("Provenance", is_include=entry.search is not None and entry.search.mode == "include")


def _is_vouched_on_page(
    targets: ProvenanceTargets, resources: dict[str | None, Members | None], context: RequestContext
) -> bool:
    rules = context.grant.rules
    on_page = [resources.get(f"{rules.public_base}/{reference}") for reference in targets.references]
    return any(is_member(members, targets.compartments, rules) for members in on_page if members is not None)


async def _is_vouched_by_fetched_target(
    targets: ProvenanceTargets, checked: _Checked, checks: ResourceChecks, context: RequestContext
) -> bool:
    for reference in targets.references:
        key = (reference, targets.compartments)
        if key not in checked and len(checked) < MAX_TARGETS:
            checked[key] = await checks.can_vouch(reference, targets.compartments, context)
        if checked.get(key):
            return True
    return False
