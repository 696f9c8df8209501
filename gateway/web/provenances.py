"""The Provenances of a page: each is shown where one of its targets vouches for it, on the page or as it stands now."""

from gateway.fhir.reference import Reference
from gateway.fhir.resource import Members
from gateway.policy.judge import Targets, belongs
from gateway.policy.judge_bundle import Verdict
from gateway.policy.reach import Compartments
from gateway.web.reading import MAX_TARGETS, Asked, Reader

_Known = dict[tuple[Reference, frozenset[Compartments]], bool]


async def settle(verdict: Verdict, reader: Reader, asked: Asked) -> None:
    """Judge what is pending by its targets: those on the page first, then others, within a bound.

    Raises `Refused` where the server cannot say how a target stands.
    """
    known: _Known = {}
    shown = {entry.fullUrl: entry.resource for entry in verdict.kept if entry is not None}
    for place, (entry, targets) in verdict.pending.items():
        if _vouched_on_page(targets, shown, asked) or await _vouched_elsewhere(targets, known, reader, asked):
            verdict.kept[place] = entry
        else:
            verdict.drop("Provenance", included=entry.search is not None and entry.search.mode == "include")


def _vouched_on_page(targets: Targets, shown: dict[str | None, Members | None], asked: Asked) -> bool:
    rules = asked.grant.rules
    found = [shown.get(f"{rules.public_base}/{one}") for one in targets.references]
    return any(belongs(members, targets.compartments, rules) for members in found if members is not None)


async def _vouched_elsewhere(targets: Targets, known: _Known, reader: Reader, asked: Asked) -> bool:
    for one in targets.references:
        key = (one, targets.compartments)
        if key not in known and len(known) < MAX_TARGETS:
            known[key] = await reader.vouches(one, targets.compartments, asked)
        if known.get(key):
            return True
    return False
