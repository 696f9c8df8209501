"""Whose records a written one may refer to: the same for every record that the same units permit.

What follows from the units and the rules alone is found once and kept, since every write of a token asks for it.
"""

from gateway.fhir.reference import Reference
from gateway.policy.permission.membership import compartment_membership
from gateway.policy.permission.reach import CompartmentSet, Everything
from gateway.policy.permission.rules import Rules
from gateway.policy.permission.unit import CompartmentExtent, Unit, VouchedExtent

_Compartments = frozenset[CompartmentSet]


class ReferenceReach:
    """Which references of a record that `units` permit have to lead to a record within the reach of a unit."""

    __slots__ = ("_belonging", "bases", "compartments", "has_record_rules", "is_free", "owner_types", "rules")

    def __init__(self, units: tuple[Unit, ...], rules: Rules) -> None:
        """Under a record rule each reference counts: the server would tell whether there is what the rule withholds."""
        extents = [unit.extent for unit in units]
        self.rules = rules
        self.bases = rules.bases
        self.has_record_rules = rules.writes.check_references and any(unit.record_rules for unit in units)
        self.is_free = not self.has_record_rules and any(isinstance(extent, Everything) for extent in extents)
        self.compartments: _Compartments = frozenset(
            extent.compartments for extent in extents if isinstance(extent, CompartmentExtent | VouchedExtent)
        )
        self.owner_types = frozenset(one.compartment_type for one in self.compartments)
        self._belonging: dict[str, bool] = {}

    def is_checked(self, resource_type: str) -> bool:
        """Whether a reference to the type is accepted only if it leads inside.

        A Binary is always looked at: a record that points at one makes it visible.
        """
        if self.has_record_rules or resource_type == "Binary" or resource_type in self.owner_types:
            return True
        return self.rules.writes.check_references and self.may_belong(resource_type)

    def may_belong(self, resource_type: str) -> bool:
        """Whether a record of the type belongs to somebody. The other types are free."""
        belongs = self._belonging.get(resource_type)
        if belongs is None:
            rules = self.rules
            belongs = any(compartment_membership(one, resource_type, rules) is not None for one in self.owner_types)
            self._belonging[resource_type] = belongs
        return belongs

    def accepts_unseen(self, reference: Reference) -> bool:
        """Whether a reference leads to the owner of every compartment, so that nothing has to be known for it."""
        return bool(self.compartments) and all(
            reference.resource_type == compartments.compartment_type and reference.id in compartments.ids
            for compartments in self.compartments
        )
