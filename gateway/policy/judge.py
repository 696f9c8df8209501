"""Lock three: every resource that comes back is judged by the permission it was asked under (enforcement.md 1).

What cannot be judged is dropped. Nothing here trusts the server: not its `search.mode`, not its `fullUrl`, not that it
answered what was asked.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.fhir.reference import Reference, references_in
from gateway.fhir.resource import (
    MalformedResourceError,
    Members,
    address_in,
    decode_member,
    nested_resources,
    pick,
    read_resource,
)
from gateway.policy.decision import KeepResource
from gateway.policy.grant import Grant
from gateway.policy.permission import Member, Permission, Unit, holds_no_stranger, member_of
from gateway.policy.reach import Compartments
from gateway.policy.rules import Rules

# They carry other resources whole, so that each of those is judged by itself (leak_20).
_CARRIERS = frozenset({"Bundle", "Parameters"})
# What they hold beyond the deciding members counts, so nothing is remembered of them.
_CLOSELY = _CARRIERS | {"Provenance"}
_NO_BYTES = msgspec.Raw()
# A grant may be kept by the thousand, so each remembers little: the records of one page repeat a few owners.
_REMEMBERED = 64
_LONGEST_KEY = 1024


@dataclass(frozen=True, slots=True)
class Targets:
    """A Provenance that is visible if one of these is, and belongs to one of the compartments (enforcement.md 8).

    The compartments are the reach of the very units that would permit it. No version is named, and no type that is
    nobody's: what everybody may see says nothing of whose the Provenance is.
    """

    references: tuple[Reference, ...]
    compartments: frozenset[Compartments]


Judgement = bool | Targets


def judge(members: Members, permission: Permission, grant: Grant) -> Judgement:
    """Whether the resource may be shown under `permission`; `Targets` where that hangs on other resources.

    Raises `MalformedResourceError` where a member that the check looks at has more than one meaning.
    """
    if grant.unlimited:
        return True
    resource_type = permission.resource_type
    if resource_type in _CLOSELY:
        return _judge_closely(members, permission, grant)
    key = _deciding_bytes(members, permission)
    known = permission.remembered.get(key)
    if known is None:
        known = permission.permits(pick(members, permission.elements))
        if len(permission.remembered) >= _REMEMBERED:
            permission.remembered.clear()
        if len(key) <= _LONGEST_KEY:
            permission.remembered[key] = known
    return known


def _deciding_bytes(members: Members, permission: Permission) -> bytes:
    """Every byte that the check would look at, as the inside of a JSON array.

    No value goes on beyond a comma, and none is empty, so that two different rows of members never make the same key.
    """
    return b",".join([members.get(name, _NO_BYTES) for name in permission.deciding])


def known_to_be_permitted(members: Members, permission: Permission) -> bool:
    """Whether `judge` has permitted a resource with these very bytes where it looks; False where it may yet.

    Entries of one answer repeat the members that decide (the same subject, the same category), so most of them are
    judged by this look-up. It says nothing of the id.
    """
    return permission.remembered.get(_deciding_bytes(members, permission)) is True


def _judge_closely(members: Members, permission: Permission, grant: Grant) -> Judgement:
    if permission.permits(pick(members, permission.elements)):
        return permission.resource_type not in _CARRIERS or _carries_only_visible(members, grant)
    return _targets(members, permission, grant.rules) if permission.resource_type == "Provenance" else False


def _carries_only_visible(members: Members, grant: Grant) -> bool:
    carrier = {name: decode_member(raw) for name, raw in members.items()}
    if _carries_untyped(carrier):
        return False
    for nested in nested_resources(carrier):
        nested_type = nested["resourceType"]
        if not isinstance(nested_type, str) or not grant.visible(nested_type).permits(nested):
            return False
        if _carries_untyped(nested):
            return False
    return True


def _carries_untyped(carrier: Mapping[str, Any]) -> bool:
    """Whether something stands where a Bundle or Parameters has a resource, and does not say what it is."""
    match carrier.get("resourceType"):
        case "Bundle":
            entries = _objects(carrier.get("entry"))
            carried = [one["resource"] for one in entries if "resource" in one]
            responses = [one["response"] for one in entries if isinstance(one.get("response"), dict)]
            carried += [one["outcome"] for one in responses if "outcome" in one]
        case "Parameters":
            carried = list(_parameter_resources(carrier.get("parameter")))
        case _:
            carried = []
    return any(not isinstance(one, dict) or "resourceType" not in one for one in carried)


def _parameter_resources(parameters: Any) -> Iterator[Any]:
    for one in _objects(parameters):
        if "resource" in one:
            yield one["resource"]
        yield from _parameter_resources(one.get("part"))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _targets(members: Members, permission: Permission, rules: Rules) -> Judgement:
    """The targets of a Provenance, if a unit would permit it but for its membership and no stranger is among them."""
    resource = pick(members, permission.elements | {"target"})
    if resource.get("resourceType") != "Provenance":
        return False
    references = _references(resource.get("target"), rules.bases)
    reaches = frozenset(
        unit.extent.compartments
        for unit in permission.units
        if isinstance(unit.extent, Member)
        and all(one.matches(resource) for one in unit.criteria)
        and not _names_stranger(references, unit.extent.compartments)
        and holds_no_stranger(resource.get("contained"), unit.extent.compartments, rules)
    )
    able = tuple(one for one in references if may_belong(one.resource_type, reaches, rules))
    return Targets(able, reaches) if able else False


def _references(value: Any, bases: Sequence[str]) -> tuple[Reference, ...]:
    """Each once and without its version; none of what is no list, since R4 has a list there."""
    found = references_in(value, bases) if isinstance(value, list) else ()
    return tuple(dict.fromkeys(Reference(one.resource_type, one.id) for one in found))


def _names_stranger(references: Sequence[Reference], compartments: Compartments) -> bool:
    named = {one.id for one in references if one.resource_type == compartments.compartment_type}
    return not named <= compartments.ids


def may_belong(resource_type: str, reaches: Collection[Compartments], rules: Rules) -> bool:
    """Whether resources of the type can be members of one of the compartments."""
    return any(member_of(one, resource_type, rules) is not None for one in reaches)


def belongs(members: Members, reaches: Collection[Compartments], rules: Rules) -> bool:
    """Whether the resource is a member of one of the compartments; False where that cannot be read.

    Whatever vouches for a Binary or a Provenance is held to the reach of the unit that grants it: that another scope
    of the token shows the voucher is not enough (SC-15, leak_17).
    """
    address = address_in(members)
    return address is not None and any(_is_member(members, address[0], one, rules) for one in reaches)


def _is_member(members: Members, resource_type: str, compartments: Compartments, rules: Rules) -> bool:
    extent = member_of(compartments, resource_type, rules)
    if extent is None:
        return False
    unit = Unit(extent)
    try:
        return unit.permits(pick(members, unit.elements))
    except MalformedResourceError:
        return False


def judge_resource(body: bytes, keep: KeepResource) -> tuple[bytes, Judgement]:
    """The resource that a read brought, as it would leave, and whether it may.

    Raises `MalformedResourceError`.
    """
    members, text = read_resource(body)
    if address_in(members) != (keep.reference.resource_type, keep.reference.id):
        return text, False
    return text, judge(members, keep.permission, keep.grant)
