"""The Provenances of a page: each is shown where one of its targets is, on the page or as it stands now."""

from gateway.fhir.reference import Reference
from gateway.policy.judge import Targets
from gateway.policy.judge_bundle import Verdict
from gateway.web.reading import MAX_TARGETS, Asked, Reader


async def settle(verdict: Verdict, reader: Reader, asked: Asked) -> None:
    """Judge what is pending by its targets: those on the page first, then others, within a bound.

    Raises `Refused` where the server cannot say how a target stands.
    """
    known: dict[Reference, bool] = {}
    shown = {entry.fullUrl for entry in verdict.kept if entry is not None}
    for place, (entry, targets) in verdict.pending.items():
        if await _any_target(targets, shown, known, reader, asked):
            verdict.kept[place] = entry
        else:
            verdict.drop("Provenance", included=entry.search is not None and entry.search.mode == "include")


async def _any_target(
    targets: Targets, shown: set[str | None], known: dict[Reference, bool], reader: Reader, asked: Asked
) -> bool:
    plain = [Reference(one.resource_type, one.id) for one in targets.references]
    public_base = asked.grant.rules.public_base
    if any(f"{public_base}/{one}" in shown or known.get(one) for one in plain):
        return True
    for one in plain:
        if one not in known and len(known) < MAX_TARGETS:
            known[one] = await reader.may_see(one, asked)
        if known.get(one):
            return True
    return False
