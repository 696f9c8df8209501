"""Whose a Binary is that is written: what its securityContext names must be within the unit's reach.

A Binary has no patient of its own. A record that only points at it is not enough to change it, because records of
others may point at the same one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.fhir.reference import Reference, find_references
from gateway.fhir.resources.version import ResourceVersion
from gateway.fhir.search.query import encode_pairs
from gateway.policy.decision_types import AllowWrite
from gateway.policy.permission.permission import Permission
from gateway.policy.permission.rules import Rules
from gateway.policy.permission.unit import Unit, VouchedExtent, compartment_extent

BINARY = "Binary"

Records = Mapping[Reference, Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What a transaction knows of its Binaries: which are new, and whether a resource of it vouches for one."""

    new_binaries: frozenset[Reference] = frozenset()
    vouches: Callable[[Unit], bool] = lambda _: False


NO_BUNDLE = BundleFacts()


@dataclass(frozen=True, slots=True)
class WrittenBinary:
    """Whose a Binary is to be. Nobody's may be one that is new, if the same transaction vouches for it."""

    owner: Reference | None
    may_be_nobodys: bool

    def belongs_to(self, unit: Unit, records: Records, bundle: BundleFacts) -> bool:
        """Whether the unit permits the Binary. `records` are those that were looked up."""
        return is_owned(self.owner, unit, records) or (self.may_be_nobodys and bundle.vouches(unit))


def find_owner(resource: Mapping[str, Any], rules: Rules) -> Reference | None:
    """What the securityContext of a Binary names, in its current version; None if that is no record of the server."""
    context = resource.get("securityContext")
    if not isinstance(context, dict):
        return None
    owner = next(find_references(context, rules.bases), None)
    if owner is None or context.get("type") not in (None, owner.resource_type):
        return None
    return Reference(owner.resource_type, owner.id)


def find_owner_to_look_up(resource: Mapping[str, Any], permission: Permission, rules: Rules) -> Reference | None:
    """The record that has to be known to judge whose the Binary is; None if nothing has to be."""
    owner = find_owner(resource, rules)
    compartment_types = {one.compartment_type for one in permission.vouching_compartments}
    if owner is None or permission.covers_whole_type or compartment_types <= {owner.resource_type}:
        return None
    return owner


def owning_units(
    units: tuple[Unit, ...], resource: Mapping[str, Any], owner_record: Mapping[str, Any] | None
) -> tuple[Unit, ...]:
    """Those of the units within whose reach the owner of a stored Binary is."""
    owned: list[Unit] = []
    for unit in units:
        owner = find_owner(resource, unit.extent.rules) if isinstance(unit.extent, VouchedExtent) else None
        if is_owned(owner, unit, {} if owner is None else {owner: owner_record}):
            owned.append(unit)
    return tuple(owned)


def is_owned(owner: Reference | None, unit: Unit, records: Records) -> bool:
    """Whether the owner of a Binary is within the reach of the unit.

    `records` are those that were looked up. A type that belongs to nobody owns nothing.
    """
    if not isinstance(unit.extent, VouchedExtent):
        return True
    if owner is None:
        return False
    compartments = unit.extent.compartments
    if owner.resource_type == compartments.compartment_type:
        return owner.id in compartments.ids
    record = records.get(owner)
    return record is not None and _is_inside(unit, owner.resource_type, record)


def is_vouched_for(binary: Reference, unit: Unit, resource: Mapping[str, Any], targets: frozenset[Reference]) -> bool:
    """Whether a resource of the same transaction, which refers to `targets`, makes a new Binary one of the unit's."""
    return binary in targets and _is_inside(unit, str(resource.get("resourceType")), resource)


def _is_inside(unit: Unit, resource_type: str, resource: Mapping[str, Any]) -> bool:
    """Whether the resource is within the reach of a unit for Binary. What a rule withholds is as good as absent."""
    if not isinstance(unit.extent, VouchedExtent):
        return False
    extent = compartment_extent(unit.extent.compartments, resource_type, unit.extent.rules)
    return extent is not None and Unit(extent, record_rules=unit.record_rules).permits(resource)


def looks_at_content(permission: Permission) -> bool:
    """Whether a record rule judges Binaries by their content."""
    return any("data" in rule.elements for unit in permission.units for rule in unit.record_rules)


def version_criteria(allow: AllowWrite, version: ResourceVersion) -> str:
    """The criteria that find a Binary as long as it is in the version that was checked; empty if none can.

    No search finds Binaries by their owner. The time of the version does as well: any change sets another one.
    """
    write, rules = allow.write, allow.grant.rules
    if write.resource_type not in rules.conditional_delete_types or version.last_updated is None:
        return ""
    return encode_pairs((("_id", str(write.id)), ("_lastUpdated", version.last_updated)))
