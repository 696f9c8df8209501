"""Membership of a resource in a compartment: the check of what vouches for others, and of a compartment search."""

from collections.abc import Collection

from gateway.fhir.reference import Reference
from gateway.fhir.resources.resource import MalformedResourceError, Members, decode_members, read_type_and_id
from gateway.policy.permission.membership import compartment_membership
from gateway.policy.permission.reach import CompartmentSet
from gateway.policy.permission.rules import Rules
from gateway.policy.permission.unit import Unit, compartment_extent


def can_be_member(resource_type: str, compartment_sets: Collection[CompartmentSet], rules: Rules) -> bool:
    """Whether resources of the type can be members of one of the compartments."""
    return any(compartment_extent(compartments, resource_type, rules) is not None for compartments in compartment_sets)


def is_member(members: Members, compartment_sets: Collection[CompartmentSet], rules: Rules) -> bool:
    """Whether the resource is a member of one of the compartments; False if the resource cannot be read.

    A resource may vouch for a Binary or a Provenance only within the reach of the unit that grants that Binary or
    Provenance. It is not enough that another scope of the token makes the vouching resource visible (SC-15, leak_17).
    """
    type_and_id = read_type_and_id(members)
    return type_and_id is not None and any(
        _is_member_of(members, type_and_id[0], compartments, rules) for compartments in compartment_sets
    )


def _is_member_of(members: Members, resource_type: str, compartments: CompartmentSet, rules: Rules) -> bool:
    extent = compartment_extent(compartments, resource_type, rules)
    if extent is None:
        return False
    unit = Unit(extent)
    try:
        return unit.permits(decode_members(members, unit.elements))
    except MalformedResourceError:
        return False


def is_in_compartment(members: Members, resource_type: str, owner: Reference, rules: Rules) -> bool:
    """Whether the resource belongs to the compartment of `owner`. Raises `MalformedResourceError`.

    A server may return more than the compartment: some ignore parameters that they do not know.
    """
    membership = compartment_membership(owner.resource_type, resource_type, rules)
    if membership is None:
        return False
    return owner.id in membership.find_compartment_ids(decode_members(members, membership.elements))
