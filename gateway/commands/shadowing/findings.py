"""What one audit line says of enforcement: what it would have refused, left out, or asked in another way."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.policy.reasons import Reason
from gateway.policy.refusal_texts import REFUSAL_TEXTS
from gateway.scopes.resource_types import RESOURCE_TYPES


class FindingKind(StrEnum):
    """What would become of a request. The values are stable.

    REFUSED: it would be refused. SHORTENED: its answer would lack records, or what a part of the query adds.
    REFUSED_ALREADY: it is refused now, because it is not in shadow mode or has no way to the FHIR server. NOT_JUDGED:
    the FHIR server failed meanwhile. REWRITTEN: the FHIR server would be asked in another way.
    """

    REFUSED = "refused"
    SHORTENED = "shortened"
    REFUSED_ALREADY = "refused_already"
    NOT_JUDGED = "not_judged"
    REWRITTEN = "rewritten"


BREAKING = frozenset({FindingKind.REFUSED, FindingKind.SHORTENED, FindingKind.REFUSED_ALREADY})


@dataclass(frozen=True, slots=True)
class Finding:
    """A kind of requests that have the same fate for the same reason.

    `request` is an interaction with its type, such as `search-type Observation`. `lost_type` is the type of records
    that the answer would lack. `detail` are names of parameters. `required_scope` would permit the request.
    """

    kind: FindingKind
    request: str
    reason: Reason = Reason.PERMITTED
    lost_type: str = ""
    detail: str = ""
    required_scope: str = ""


def read_findings(line: Mapping[str, Any]) -> Iterator[tuple[Finding, int]]:
    """The findings in the line of a request with an accepted token, each with how many records it is about.

    Raises `KeyError`, `TypeError`, `ValueError` and `AttributeError` if the line cannot be read.
    """
    request = describe_request(line)
    shadow = line.get("shadow")
    if shadow is None:
        reason = Reason(line["reason"])
        if reason is not Reason.NOT_FOUND and 400 <= REFUSAL_TEXTS[reason].status < 500:
            yield Finding(FindingKind.REFUSED_ALREADY, request, reason), 0
        return
    reason = Reason(shadow["reason"])
    if reason is not Reason.PERMITTED:
        kind = FindingKind.REFUSED if REFUSAL_TEXTS[reason].status < 500 else FindingKind.NOT_JUDGED
        detail = shadow.get("offender", "")
        detail = "" if detail in RESOURCE_TYPES else detail
        yield Finding(kind, request, reason, detail=detail, required_scope=shadow.get("required_scope", "")), 0
    for lost_type, counts in shadow.get("dropped", {}).items():
        for lost_reason, count in counts.items():
            yield Finding(FindingKind.SHORTENED, request, Reason(lost_reason), lost_type), int(count)
    left_out = shadow.get("left_out", ())
    if left_out:
        yield Finding(FindingKind.SHORTENED, request, detail=" ".join(left_out)), 0
    rewritten = [name for name in shadow.get("rewritten", ()) if name not in left_out]
    if rewritten:
        yield Finding(FindingKind.REWRITTEN, request, detail=" ".join(rewritten)), 0


def describe_request(line: Mapping[str, Any]) -> str:
    """What was asked for, without ids and values."""
    words = (line["interaction"], line["resource_type"], line.get("operation"))
    return " ".join(str(word) for word in words if word)
