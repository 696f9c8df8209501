"""The compiled permission of a token for one resource type: its units, any of which may permit a resource.

All three locks use it, so that narrowing and judging cannot disagree (enforcement.md 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.policy.permission.reach import CompartmentSet
from gateway.policy.permission.reference_reach import ReferenceReach
from gateway.policy.permission.rules import Rules
from gateway.policy.permission.unit import CompartmentExtent, Unit, VouchedExtent

_ALWAYS_NEEDED = frozenset({"resourceType", "id"})


@dataclass(frozen=True, slots=True)
class Permission:
    """The units of a token for one resource type and a set of scope letters, combined with OR (SC-13).

    Without units it permits nothing, and it is false. `elements` are the top-level elements of a resource that
    `permits` needs. `deciding_elements` are those that its result depends on, in alphabetical order.
    `covers_whole_type` says that every resource of the type is permitted. Only the judge uses `judgement_cache`, from
    the bytes of the deciding elements to the judgement. `changing_elements` are those on which it depends which units
    permit to change a resource, and only `gateway/policy/writing/permitting_units.py` uses `unit_cache`, likewise.
    Only `reference_reach` uses `reference_reaches`, from the ids of units to what follows from them.
    """

    resource_type: str
    units: tuple[Unit, ...]
    elements: frozenset[str]
    deciding_elements: tuple[str, ...]
    covers_whole_type: bool
    changing_elements: tuple[str, ...] = ()
    judgement_cache: dict[bytes, bool] = field(default_factory=dict, compare=False, repr=False)
    unit_cache: dict[bytes, tuple[Unit, ...]] = field(default_factory=dict, compare=False, repr=False)
    reference_reaches: dict[tuple[int, ...], ReferenceReach] = field(default_factory=dict, compare=False, repr=False)

    def permits(self, resource: Mapping[str, Any]) -> bool:
        """Whether a unit permits the resource, of which the caller passes the `elements`."""
        if resource.get("resourceType") != self.resource_type:
            return False
        return self.covers_whole_type or any(unit.permits(resource) for unit in self.units)

    def __bool__(self) -> bool:
        return bool(self.units)

    @property
    def has_record_rules(self) -> bool:
        """Whether a record rule takes something away from a unit."""
        return any(unit.record_rules for unit in self.units)

    @property
    def may_fail(self) -> bool:
        """Whether a judgement may be negative because a rule failed, so that it must not be remembered."""
        return any(rule.may_fail for unit in self.units for rule in unit.record_rules)

    def withholds(self, resource: Mapping[str, Any]) -> bool:
        """Whether only record rules keep the resource from being permitted. The caller passes the `elements`."""
        return any(unit.record_rules and unit.includes(resource) for unit in self.units)

    def reference_reach(self, units: tuple[Unit, ...], rules: Rules) -> ReferenceReach:
        """To what a record may refer that `units` permit, some of those of this permission, under its grant's rules."""
        key = tuple(map(id, units))
        reach = self.reference_reaches.get(key)
        if reach is None:
            reach = self.reference_reaches[key] = ReferenceReach(units, rules)
        return reach

    @property
    def vouching_compartments(self) -> frozenset[CompartmentSet]:
        """The compartments whose members may vouch for a Binary."""
        return frozenset(unit.extent.compartments for unit in self.units if isinstance(unit.extent, VouchedExtent))

    @property
    def common_compartments(self) -> CompartmentSet | None:
        """The compartments to which every unit is limited; None if the units differ in that.

        Only with common compartments does narrowing keep all matches, and references between them, inside the reach.
        """
        compartment_sets = {
            unit.extent.compartments if isinstance(unit.extent, CompartmentExtent) else None for unit in self.units
        }
        return next(iter(compartment_sets)) if len(compartment_sets) == 1 else None


def combine_units(resource_type: str, units: tuple[Unit, ...]) -> Permission:
    """The permission of these units, combined with OR.

    A unit without constraints permits also what the constraints of other units exclude (SC-16).
    """
    covers_whole_type = any(unit.covers_whole_type for unit in units)
    elements = frozenset[str]().union(*(unit.elements for unit in units))
    deciding_elements = {"resourceType"} if covers_whole_type else {"resourceType", *elements}
    extents = (unit.extent for unit in units)
    owners = (extent.owners.elements for extent in extents if isinstance(extent, CompartmentExtent))
    changing_elements = (elements | {"resourceType", "contained"}).union(*owners)
    return Permission(
        resource_type,
        units,
        elements | _ALWAYS_NEEDED,
        tuple(sorted(deciding_elements)),
        covers_whole_type,
        tuple(sorted(changing_elements)),
    )
