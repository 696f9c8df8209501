"""To what a written resource may refer: nothing by which it, or the server's answer, would tell of another patient."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from gateway.fhir.reference import Reference, find_references
from gateway.fhir.resources.written_references import (
    ReferenceForm,
    WrittenReference,
    find_attached_binaries,
    find_written_references,
)
from gateway.policy.decision_types import Deny
from gateway.policy.permission.reach import CompartmentSet, Everything
from gateway.policy.permission.reference_reach import ReferenceReach
from gateway.policy.permission.rules import Rules
from gateway.policy.permission.unit import CompartmentExtent, Unit, VouchedExtent, compartment_extent
from gateway.policy.reasons import Reason

# Each is one request to the FHIR server.
MAX_LOOKUPS = 50


# A Struct, because one is created per write: creating a frozen dataclass takes three times as long.
class ReferenceNeeds(msgspec.Struct, frozen=True, gc=False):
    """The `references` that a unit has to accept, and the `records` that must be known for it."""

    references: tuple[Reference, ...]
    records: tuple[Reference, ...]


_NO_NEEDS = ReferenceNeeds((), ())


def refuse_reference_forms(references: tuple[WrittenReference, ...], units: tuple[Unit, ...]) -> Deny | None:
    """The refusal of references that are not accepted wherever they lead.

    Criteria in the place of a reference are refused for every token: a server resolves them by all that it has (hapi.md
    B9). One that can be read in several ways is refused where it matters whose record it names.
    """
    forms = {reference.form for reference in references}
    if ReferenceForm.CRITERIA in forms:
        return Deny(Reason.REFERENCE_REFUSED, offender="criteria")
    if ReferenceForm.UNCLEAR not in forms or any(isinstance(unit.extent, Everything) for unit in units):
        return None
    return Deny(Reason.REFERENCE_REFUSED, offender="reference")


def find_reference_needs(
    new: Mapping[str, Any],
    written: tuple[WrittenReference, ...],
    stored: Mapping[str, Any] | None,
    reach: ReferenceReach,
    stored_text: bytes = b"",
) -> ReferenceNeeds | Deny:
    """What must be looked up because of the references of the new state, which are `written`.

    A reference that is stored already tells nothing new and is not looked up; `stored` is None where the token may not
    read it, and `stored_text` is the same as JSON.
    """
    if reach.is_free:
        return _NO_NEEDS
    targets = dict[Reference, None]()
    for reference in written:
        target, foreign_type = reference.target, reference.foreign_type
        if foreign_type is not None and (foreign_type == "Binary" or reach.may_belong(foreign_type)):
            # It leads to a record of another server, which this one could take for its own.
            return Deny(Reason.REFERENCE_OUT_OF_REACH)
        if target is not None and reach.is_checked(target.resource_type):
            targets[_without_version(target)] = None
    checked = tuple(target for target in targets if not _is_itself(target, new))
    if stored is not None and not all(map(reach.accepts_unseen, checked)):
        attached_anew = _find_attached_anew(checked, new, stored, reach.bases)
        checked = _leave_out_stored(checked, stored, stored_text, reach.bases, attached_anew)
    records = tuple(target for target in checked if target.resource_type not in reach.owner_types)
    if len(records) > MAX_LOOKUPS:
        return Deny(Reason.REQUEST_TOO_LARGE, offender="references")
    return ReferenceNeeds(checked, records)


def _leave_out_stored(
    targets: tuple[Reference, ...],
    stored: Mapping[str, Any],
    text: bytes,
    bases: tuple[str, ...],
    attached_anew: frozenset[Reference],
) -> tuple[Reference, ...]:
    """The targets to which the stored record does not refer. Most can be found in its text, the others only in it all.

    A string of JSON has no quotation mark in it that is not escaped, and so none behind a brace or a comma.
    """
    others = tuple(target for target in targets if target in attached_anew or not _is_in_text(target, text))
    unchanged = set(_list_targets(find_written_references(stored, bases))) if others else set()
    return tuple(target for target in others if target in attached_anew or target not in unchanged)


def _is_in_text(target: Reference, text: bytes) -> bool:
    member = b'"reference":"%b"' % str(target).encode()
    return b"{" + member in text or b"," + member in text


def _find_attached_anew(
    targets: tuple[Reference, ...], new: Mapping[str, Any], stored: Mapping[str, Any], bases: tuple[str, ...]
) -> frozenset[Reference]:
    """The Binaries to which an attachment points that is not stored: a reference shows none, and a version itself."""
    if not any(target.resource_type == "Binary" for target in targets):
        return frozenset()
    attached = set(find_attached_binaries(new, bases)) - set(find_attached_binaries(stored, bases))
    return frozenset(_without_version(binary) for _, binary in attached)


def leads_inside(
    reference: Reference,
    unit: Unit,
    records: Mapping[Reference, Mapping[str, Any] | None],
    new_binaries: frozenset[Reference] = frozenset(),
) -> bool:
    """Whether the reference leads into the reach of the unit. `records` are those that were looked up.

    `new_binaries` are made by the same transaction, so that they show nothing that the client does not know.
    """
    if not isinstance(unit.extent, CompartmentExtent | VouchedExtent):
        known = records.get(reference)
        return not unit.record_rules or (known is not None and unit.obeys_rules(known))
    compartments, rules = unit.extent.compartments, unit.extent.rules
    if reference.resource_type == compartments.compartment_type:
        return reference.id in compartments.ids
    record = records.get(reference)
    if record is None:
        return False
    if reference.resource_type == "Binary":
        is_nobodys = reference in new_binaries and "securityContext" not in record
        return is_nobodys or _is_owned_binary(record, compartments, rules)
    extent = compartment_extent(compartments, reference.resource_type, rules)
    # A record that a rule withholds is as good as absent.
    return unit.obeys_rules(record) and (extent is None or Unit(extent).permits(record))


def _is_itself(target: Reference, new: Mapping[str, Any]) -> bool:
    return "id" in new and (target.id, target.resource_type) == (new["id"], new.get("resourceType"))


def _without_version(target: Reference) -> Reference:
    return target if target.version_id is None else Reference(target.resource_type, target.id)


def _list_targets(references: Iterable[WrittenReference]) -> Iterator[Reference]:
    return (_without_version(reference.target) for reference in references if reference.target is not None)


def _is_owned_binary(record: Mapping[str, Any], compartments: CompartmentSet, rules: Rules) -> bool:
    """Whether the Binary itself says that it belongs to the compartment.

    A record that points at a Binary makes it visible (enforcement.md 2), so that one of another patient must not be
    pointed at.
    """
    owners = find_references(record.get("securityContext"), rules.bases)
    return any(
        owner.resource_type == compartments.compartment_type and owner.id in compartments.ids for owner in owners
    )
