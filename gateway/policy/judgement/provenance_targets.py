"""The targets that can make a Provenance visible (enforcement.md 8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.fhir.reference import Reference, find_references
from gateway.fhir.resources.resource import Members, decode_members
from gateway.policy.judgement.compartment_members import can_be_member
from gateway.policy.permission.contained_resources import contains_no_foreign_resource
from gateway.policy.permission.permission import Permission
from gateway.policy.permission.reach import CompartmentSet
from gateway.policy.permission.rules import Rules
from gateway.policy.permission.unit import CompartmentExtent


@dataclass(frozen=True, slots=True)
class ProvenanceTargets:
    """The judgement "it depends": the Provenance is visible if one of these targets is (enforcement.md 8).

    The target must also be a member of one of `compartments`, which are the reaches of the units that would permit the
    Provenance. `references` have no version. They leave out the types that belong to nobody: everybody may see such a
    resource, so that it does not say whose the Provenance is.
    """

    references: tuple[Reference, ...]
    compartments: frozenset[CompartmentSet]


def find_provenance_targets(members: Members, permission: Permission, rules: Rules) -> ProvenanceTargets | None:
    """The targets that can vouch for a Provenance; None if there are none.

    A unit counts if it would permit the Provenance apart from its membership, and if no target belongs to somebody
    outside its compartments.
    """
    resource = decode_members(members, permission.elements | {"target"})
    if resource.get("resourceType") != "Provenance":
        return None
    references = _parse_targets(resource.get("target"), rules.bases)
    compartment_sets = frozenset(
        unit.extent.compartments
        for unit in permission.units
        if isinstance(unit.extent, CompartmentExtent)
        and all(criterion.matches(resource) for criterion in unit.criteria)
        and unit.obeys_rules(resource)
        and not _names_foreign_owner(references, unit.extent.compartments)
        and contains_no_foreign_resource(resource.get("contained"), unit.extent.compartments, rules)
    )
    eligible_targets = tuple(
        reference for reference in references if can_be_member(reference.resource_type, compartment_sets, rules)
    )
    return ProvenanceTargets(eligible_targets, compartment_sets) if eligible_targets else None


def _parse_targets(value: Any, bases: Sequence[str]) -> tuple[Reference, ...]:
    """Each target once and without its version; none if `value` is not a list, since R4 has a list there."""
    references = find_references(value, bases) if isinstance(value, list) else ()
    return tuple(dict.fromkeys(Reference(reference.resource_type, reference.id) for reference in references))


def _names_foreign_owner(references: Sequence[Reference], compartments: CompartmentSet) -> bool:
    owner_ids = {reference.id for reference in references if reference.resource_type == compartments.compartment_type}
    return not owner_ids <= compartments.ids
