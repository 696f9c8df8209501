"""The unit of a permission: what a single scope permits for one resource type.

A unit is indivisible. A resource must satisfy the reach and the constraints of the same unit; the reach of one scope is
never combined with the constraints or the letters of another (SC-15, leak_17, leak_18).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from gateway.fhir.matching.criterion import CompiledCriterion, UnsupportedCriterionError, compile_criterion
from gateway.fhir.reference import Reference
from gateway.fhir.resources.compartments import Membership
from gateway.policy.permission.contained_resources import contains_no_foreign_resource
from gateway.policy.permission.membership import compartment_membership, full_membership
from gateway.policy.permission.reach import CompartmentSet, Everything
from gateway.policy.permission.record_rule import BoundRule
from gateway.policy.permission.rules import Rules
from gateway.scopes.model import ResourceScope


@dataclass(frozen=True, slots=True)
class CompartmentExtent:
    """The resources that are members of one of these compartments. By `owners` all are found whom one names."""

    compartments: CompartmentSet
    membership: Membership
    rules: Rules
    owners: Membership


@dataclass(frozen=True, slots=True)
class SharedTypeExtent:
    """All resources of a shared type, which belongs to no compartment: read by id, and searched by `_id` only."""

    compartments: CompartmentSet
    rules: Rules


@dataclass(frozen=True, slots=True)
class FhirUserExtent:
    """The resource of the user (`fhirUser`) alone (ID-10)."""

    reference: Reference


@dataclass(frozen=True, slots=True)
class VouchedExtent:
    """The Binaries for which a visible member of these compartments vouches. No Binary is permitted by itself."""

    compartments: CompartmentSet
    rules: Rules


Extent = Everything | CompartmentExtent | SharedTypeExtent | FhirUserExtent | VouchedExtent


@dataclass(frozen=True, slots=True)
class Unit:
    """What one scope permits for one resource type: the resources in `extent` that satisfy all `criteria`.

    `scope` is None for the unit of the user's own resource. The `record_rules` take away from that.
    """

    extent: Extent
    criteria: tuple[CompiledCriterion, ...] = ()
    scope: ResourceScope | None = None
    record_rules: tuple[BoundRule, ...] = ()

    @property
    def reach(self) -> Everything | CompartmentSet | Reference:
        """Whose records the unit is about, whatever their type: of everybody, of some compartments, or one record."""
        match self.extent:
            case Everything():
                return self.extent
            case FhirUserExtent(reference):
                return reference
            case CompartmentExtent() | SharedTypeExtent() | VouchedExtent():
                return self.extent.compartments
        assert_never(self.extent)

    @property
    def covers_whole_type(self) -> bool:
        """Whether the unit permits every resource of the type."""
        return self.is_unconstrained and not self.record_rules

    @property
    def is_unconstrained(self) -> bool:
        """Whether the scope says nothing that leaves out a resource of the type; a record rule may."""
        return isinstance(self.extent, Everything) and not self.criteria

    def permits(self, resource: Mapping[str, Any]) -> bool:
        """Whether the unit permits the resource, of which the caller passes the `elements`."""
        return self.includes(resource) and self.obeys_rules(resource)

    def obeys_rules(self, resource: Mapping[str, Any]) -> bool:
        """Whether no record rule takes the resource away."""
        return not self.record_rules or all(rule.permits(resource) for rule in self.record_rules)

    def includes(self, resource: Mapping[str, Any]) -> bool:
        """Whether the resource is one that the scope speaks of."""
        match self.extent:
            case Everything():
                is_in_extent = True
            case CompartmentExtent(compartments, membership, rules):
                owner_ids = membership.find_compartment_ids(resource)
                is_in_extent = not compartments.ids.isdisjoint(owner_ids) and contains_no_foreign_resource(
                    resource.get("contained"), compartments, rules
                )
            case SharedTypeExtent(compartments, rules):
                is_in_extent = contains_no_foreign_resource(resource.get("contained"), compartments, rules)
            case FhirUserExtent(reference):
                is_in_extent = resource.get("id") == reference.id and not resource.get("contained")
            case VouchedExtent():
                is_in_extent = False
            case _:
                assert_never(self.extent)
        return is_in_extent and all(criterion.matches(resource) for criterion in self.criteria)

    @property
    def elements(self) -> frozenset[str]:
        """The top-level elements that `permits` reads."""
        extent_elements = _extent_elements(self.extent)
        return extent_elements.union(
            *(criterion.elements for criterion in self.criteria), *(rule.elements for rule in self.record_rules)
        )


def _extent_elements(extent: Extent) -> frozenset[str]:
    match extent:
        case Everything():
            return frozenset()
        case VouchedExtent():
            return frozenset({"securityContext", "contained"})
        case CompartmentExtent(membership=membership):
            return membership.elements | {"contained"}
        case SharedTypeExtent():
            return frozenset({"contained"})
        case FhirUserExtent():
            return frozenset({"id", "contained"})
    assert_never(extent)


@dataclass(frozen=True, slots=True)
class NoUnit:
    """A scope grants nothing for a resource type. `explanation` is a clause that says why."""

    explanation: str


def compile_unit(
    scope: ResourceScope, resource_type: str, reach: Everything | CompartmentSet, rules: Rules
) -> Unit | NoUnit:
    """Compile the unit of `scope` for `resource_type`.

    A wildcard scope with a constraint reaches only the types that define the parameter (edge case 96); `_type` in the
    constraints names types. A constraint that cannot be evaluated must not widen access, so there is no unit (SC-23).
    """
    pairs = scope.constraints
    type_pairs = [pair for pair in pairs if pair.name == "_type"]
    if any(pair.modifier is not None or resource_type not in pair.value.split(",") for pair in type_pairs):
        return NoUnit(f"its _type does not name {resource_type}")
    try:
        criteria = tuple(
            compile_criterion(resource_type, pair.name, pair.modifier, pair.value, rules.bases)
            for pair in pairs
            if pair.name != "_type"
        )
    except UnsupportedCriterionError as error:
        return NoUnit(str(error))
    extent = _compile_extent(resource_type, reach, rules)
    if extent is None:
        return NoUnit(f"{resource_type} belongs to no compartment and is not in compartments.shared_types")
    if isinstance(extent, VouchedExtent) and criteria:
        # The resource that vouches for a Binary cannot show that the Binary satisfies a constraint.
        return NoUnit("a Binary is shown by the record that points at it, which cannot satisfy a constraint for it")
    return Unit(extent, criteria, scope)


def _compile_extent(resource_type: str, reach: Everything | CompartmentSet, rules: Rules) -> Extent | None:
    if isinstance(reach, Everything):
        return reach
    extent = compartment_extent(reach, resource_type, rules)
    if extent is not None:
        return extent
    if resource_type == "Binary":
        return VouchedExtent(reach, rules)
    return SharedTypeExtent(reach, rules) if resource_type in rules.shared_types else None


def compartment_extent(compartments: CompartmentSet, resource_type: str, rules: Rules) -> CompartmentExtent | None:
    """The resources of the type in these compartments; None if the type is never in such a compartment."""
    membership = compartment_membership(compartments.compartment_type, resource_type, rules)
    owners = full_membership(compartments.compartment_type, resource_type, rules)
    if membership is None or owners is None:
        return None
    return CompartmentExtent(compartments, membership, rules, owners)
