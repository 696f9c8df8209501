"""One compiled permission: the union of units that a token holds for one resource type and letter.

Narrowing and verification both start from it, so that they cannot disagree (enforcement.md 1). A unit is never broken:
its letters, its reach and its constraints belong together (SC-15, leak_17, leak_18).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from gateway.fhir.compartments import Membership, compile_membership, narrowing_parameter
from gateway.fhir.match import Criterion, UnsupportedCriterionError, compile_criterion
from gateway.fhir.reference import Reference, references_in
from gateway.fhir.resource import nested_resources
from gateway.policy.reach import Compartments, Everything
from gateway.policy.rules import MembershipMode, Rules
from gateway.scopes.model import ResourceScope
from gateway.scopes.resource_types import RESOURCE_TYPES

_ABOUT = ("subject", "subjectReference", "patient")
_ALWAYS_NEEDED = frozenset({"resourceType", "id"})


@dataclass(frozen=True, slots=True)
class Member:
    """Resources that belong to one of these compartments."""

    compartments: Compartments
    membership: Membership
    rules: Rules


@dataclass(frozen=True, slots=True)
class Shared:
    """A type outside every compartment that charts refer to: read by id, searched by `_id` only."""

    compartments: Compartments
    rules: Rules


@dataclass(frozen=True, slots=True)
class Single:
    """One resource: the user's own (ID-10)."""

    reference: Reference


@dataclass(frozen=True, slots=True)
class Vouched:
    """Binaries: each is shown only where a visible member of these compartments vouches for it, and none by itself."""

    compartments: Compartments


Extent = Everything | Member | Shared | Single | Vouched


@dataclass(frozen=True, slots=True)
class Unit:
    """One unbroken unit for one type: an extent, and the criteria that all must hold.

    `scope` is what the token said; None for the user's own resource.
    """

    extent: Extent
    criteria: tuple[Criterion, ...] = ()
    scope: ResourceScope | None = None

    @property
    def unlimited(self) -> bool:
        """Whether it permits every resource of the type."""
        return isinstance(self.extent, Everything) and not self.criteria

    def permits(self, resource: Mapping[str, Any]) -> bool:
        """Whether the resource, given by the members in `elements`, lies inside this unit."""
        match self.extent:
            case Everything():
                within = True
            case Member(compartments, membership, rules):
                within = not compartments.ids.isdisjoint(membership.references(resource))
                within = within and holds_no_stranger(resource.get("contained"), compartments, rules)
            case Shared(compartments, rules):
                within = holds_no_stranger(resource.get("contained"), compartments, rules)
            case Single(reference):
                within = resource.get("id") == reference.id and not resource.get("contained")
            case Vouched():
                within = False
            case _:
                assert_never(self.extent)
        return within and all(criterion.matches(resource) for criterion in self.criteria)

    @property
    def elements(self) -> frozenset[str]:
        """The top-level members that `permits` looks at."""
        looked_at = _extent_elements(self.extent)
        return looked_at.union(*(criterion.elements for criterion in self.criteria))


def _extent_elements(extent: Extent) -> frozenset[str]:
    match extent:
        case Everything() | Vouched():
            return frozenset()
        case Member(membership=membership):
            return membership.elements | {"contained"}
        case Shared():
            return frozenset({"contained"})
        case Single():
            return frozenset({"id", "contained"})
    assert_never(extent)


@dataclass(frozen=True, slots=True)
class Permission:
    """The units a token holds for one type and letter, OR-ed (SC-13). Without units it permits nothing.

    `elements` are the members that `permits` is given; `deciding` those of them that its answer depends on.
    `remembered` is for the judge alone: what it found for these very bytes before.
    """

    resource_type: str
    units: tuple[Unit, ...]
    elements: frozenset[str]
    deciding: tuple[str, ...]
    unlimited: bool
    remembered: dict[bytes, bool] = field(default_factory=dict, compare=False, repr=False)

    def permits(self, resource: Mapping[str, Any]) -> bool:
        """Whether one unit permits the resource, given by the members in `elements`."""
        if resource.get("resourceType") != self.resource_type:
            return False
        return self.unlimited or any(unit.permits(resource) for unit in self.units)

    def __bool__(self) -> bool:
        return bool(self.units)

    @property
    def vouched(self) -> frozenset[Compartments]:
        """The compartments whose members may vouch for a Binary."""
        return frozenset(unit.extent.compartments for unit in self.units if isinstance(unit.extent, Vouched))

    @property
    def owners(self) -> Compartments | None:
        """The compartments that every unit is held to; None where units differ or one is not held so.

        Only then does narrowing keep every match, and a link between two types, inside the reach.
        """
        held = {unit.extent.compartments if isinstance(unit.extent, Member) else None for unit in self.units}
        return next(iter(held)) if len(held) == 1 else None


def union(resource_type: str, units: tuple[Unit, ...]) -> Permission:
    """The permission of these units. An unconstrained unit beside a constrained one wins (SC-16)."""
    unlimited = any(unit.unlimited for unit in units)
    looked_at = frozenset[str]().union(*(unit.elements for unit in units))
    deciding = {"resourceType"} if unlimited else {"resourceType", *looked_at}
    return Permission(resource_type, units, looked_at | _ALWAYS_NEEDED, tuple(sorted(deciding)), unlimited)


def compile_unit(
    scope: ResourceScope, resource_type: str, reach: Everything | Compartments, rules: Rules
) -> Unit | None:
    """The unit that `scope` is for `resource_type`; None where it does not reach that type.

    A wildcard scope with a constraint reaches only the types for which the parameter is defined (edge case 96), and
    `_type` in it names them. A constraint that cannot be evaluated here never widens: the unit is not built (SC-23).
    """
    pairs = scope.constraints
    named = [pair for pair in pairs if pair.name == "_type"]
    if any(pair.modifier is not None or resource_type not in pair.value.split(",") for pair in named):
        return None
    try:
        criteria = tuple(
            compile_criterion(resource_type, pair.name, pair.modifier, pair.value, rules.bases)
            for pair in pairs
            if pair.name != "_type"
        )
    except UnsupportedCriterionError:
        return None
    extent = _extent(resource_type, reach, rules)
    if extent is None or (isinstance(extent, Vouched) and criteria):
        # Whatever vouches for a Binary says nothing of a constraint on the Binary itself.
        return None
    return Unit(extent, criteria, scope)


def _extent(resource_type: str, reach: Everything | Compartments, rules: Rules) -> Extent | None:
    if isinstance(reach, Everything):
        return reach
    member = member_of(reach, resource_type, rules)
    if member is not None:
        return member
    if resource_type == "Binary":
        return Vouched(reach)
    return Shared(reach, rules) if resource_type in rules.shared_types else None


def member_of(compartments: Compartments, resource_type: str, rules: Rules) -> Member | None:
    """The resources of a type that are members of these compartments; None where its type never is one."""
    membership = membership_of(compartments.compartment_type, resource_type, rules)
    return None if membership is None else Member(compartments, membership, rules)


def membership_of(compartment_type: str, resource_type: str, rules: Rules) -> Membership | None:
    """What makes a resource a member of a compartment under these rules; None where its type never is one."""
    return compile_membership(
        compartment_type,
        resource_type,
        subject_only=rules.membership is MembershipMode.SUBJECT,
        extra=rules.extra_members_of(compartment_type),
        bases=rules.bases,
    )


def owner_parameter(compartment_type: str, resource_type: str, rules: Rules) -> str | None:
    """The search parameter that says whom a record is about under these rules; None where its type is outside."""
    return narrowing_parameter(compartment_type, resource_type, rules.extra_members_of(compartment_type))


def holds_no_stranger(contained: Any, compartments: Compartments, rules: Rules) -> bool:
    """Whether nothing contained belongs to a compartment of that type other than these (leak_20).

    A contained resource is a part of its container, so it needs no scope of its own; but one that says it belongs to
    another patient, or that is a patient we cannot recognise, takes the whole container with it; so does one that does
    not say what it is. A compartment of another type (a practitioner's) keeps no patients apart.
    """
    if contained is None:
        return True
    if not isinstance(contained, list) or not all(isinstance(one, dict) and "resourceType" in one for one in contained):
        return False
    for nested in nested_resources([contained]):
        nested_type = nested["resourceType"]
        if not isinstance(nested_type, str) or nested_type not in RESOURCE_TYPES:
            return False
        if compartments.compartment_type == "Patient" and _is_strange(nested, nested_type, compartments, rules):
            return False
    return True


def _is_strange(nested: Mapping[str, Any], nested_type: str, compartments: Compartments, rules: Rules) -> bool:
    membership = membership_of(compartments.compartment_type, nested_type, rules)
    if membership is not None:
        owners = membership.references(nested)
    else:
        # Some types that R4 puts into no compartment say all the same whom they are about.
        named = (one for name in _ABOUT for one in references_in(nested.get(name), rules.bases))
        owners = {one.id for one in named if one.resource_type == "Patient"}
    return bool(owners) and compartments.ids.isdisjoint(owners)
