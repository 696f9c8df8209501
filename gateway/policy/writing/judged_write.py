"""A write that is permitted, as soon as the records are known to which it refers."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.fhir.reference import Reference
from gateway.policy.decision_types import Deny, UpstreamWrite
from gateway.policy.permission.unit import Unit
from gateway.policy.reasons import Reason
from gateway.policy.writing.binary_owner import NO_BUNDLE, BundleFacts, WrittenBinary
from gateway.policy.writing.reference_rules import leads_inside
from gateway.policy.writing.stored_state import StoredState
from gateway.policy.writing.written_state import may_change


class JudgedWrite(msgspec.Struct, frozen=True, gc=False):
    """A write that `units` permit, provided that all `references` lead into the reach of one of them.

    The `records` have to be looked up for that. With `is_untied` nothing keeps the server from changing another state
    than the one that was judged, and the operator accepts that. `binary` is set for the new state of a Binary.
    """

    request: UpstreamWrite
    units: tuple[Unit, ...]
    records: tuple[Reference, ...] = ()
    references: tuple[Reference, ...] = ()
    is_untied: bool = False
    binary: WrittenBinary | None = None


# By the reference and the id of the unit: whether it leads inside.
FoundInside = dict[tuple[Reference, int], bool]


def finish_write(
    judged: JudgedWrite,
    records: Mapping[Reference, Mapping[str, Any] | None],
    bundle: BundleFacts = NO_BUNDLE,
    found_inside: FoundInside | None = None,
) -> UpstreamWrite | Deny:
    """What is sent. `records` are those that were looked up; None for one that does not exist.

    In `found_inside` the writes of one transaction remember of a reference what they have in common.
    """
    found = {} if found_inside is None else found_inside
    for unit in judged.units:
        for reference in judged.references:
            key = (reference, id(unit))
            if key not in found:
                found[key] = leads_inside(reference, unit, records, bundle.new_binaries)
            if not found[key]:
                break
        else:
            if judged.binary is None or judged.binary.belongs_to(unit, records, bundle):
                return judged.request
    return Deny(Reason.REFERENCE_OUT_OF_REACH if judged.binary is None else Reason.BINARY_NOT_VOUCHED)


def was_overtaken(judged: JudgedWrite, state: StoredState | None) -> bool:
    """Whether the state behind an untied write is one that its units would not have made: somebody wrote in between."""
    if judged.request.method == "DELETE":
        return state is not None
    return state is None or not any(may_change(unit, state.resource) for unit in judged.units)
