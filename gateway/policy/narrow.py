"""Lock two: what is AND-ed to a search so that the server already returns only what is permitted.

The pairs come from the same units that verification uses. A server that repeats a parameter as AND (all do, by R4
Search 3.1.1.4.2) can only be narrowed by them, whatever the client's own criteria say (leak_04).
"""

from dataclasses import dataclass
from functools import reduce

from gateway.fhir.search_parameters import aliases, parameters_of
from gateway.policy.permission import Member, Permission, Unit, owner_parameter
from gateway.policy.reach import Everything
from gateway.policy.rules import Rules

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Query pairs to add. `exact`: a server that honours them returns nothing that verification would drop.

    `owner` is the pair among them that says whose each match is; None where there is none that can be sent.
    """

    pairs: tuple[Pair, ...]
    exact: bool
    owner: Pair | None = None


def narrow(permission: Permission, rules: Rules) -> Narrowing:
    """The narrowing of a search by `permission`, whose units are OR-ed."""
    if permission.unlimited:
        return Narrowing((), exact=True)
    reach = _narrow_reach(permission, rules)
    constraints = _narrow_constraints(permission.units)
    pairs = reach.pairs + constraints.pairs
    unsupported = rules.unsupported_parameters.get(permission.resource_type, frozenset())
    sendable = tuple((name, value) for name, value in pairs if name not in unsupported)
    exact = reach.exact and constraints.exact and sendable == pairs and _independent(permission.units)
    owner = reach.owner if reach.owner in sendable else None
    return Narrowing(sendable, exact and rules.statement_known, owner)


def _narrow_reach(permission: Permission, rules: Rules) -> Narrowing:
    extents = [unit.extent for unit in permission.units]
    if all(isinstance(extent, Everything) for extent in extents):
        return Narrowing((), exact=True)
    compartments = [extent.compartments for extent in extents if isinstance(extent, Member)]
    types = {compartment.compartment_type for compartment in compartments}
    if len(compartments) < len(extents) or len(types) != 1:
        return Narrowing((), exact=False)
    compartment_type = types.pop()
    name = owner_parameter(compartment_type, permission.resource_type, rules)
    if name is None:
        return Narrowing((), exact=False)
    name = _known_alias(permission.resource_type, name, compartment_type, rules)
    ids = sorted(set().union(*(compartment.ids for compartment in compartments)))
    prefix = "" if name == "_id" else f"{compartment_type}/"
    owner = (name, ",".join(prefix + one for one in ids))
    return Narrowing((owner,), exact=True, owner=owner)


def _known_alias(resource_type: str, name: str, owner_type: str, rules: Rules) -> str:
    """The parameter, or one that leads to the owner over the same element where the server declares only that."""
    unsupported = rules.unsupported_parameters.get(resource_type, frozenset())
    if name not in unsupported:
        return name
    definitions = parameters_of(resource_type)
    same = sorted(aliases(resource_type, name) - unsupported)
    return next((one for one in same if owner_type in (definitions[one].targets or {owner_type})), name)


def _narrow_constraints(units: tuple[Unit, ...]) -> Narrowing:
    """What all units demand, and one OR over commas where they differ in the value of one parameter only."""
    demands = [_demands(unit) for unit in units]
    shared = reduce(frozenset.intersection, demands)
    rests = [demand - shared for demand in demands]
    pairs = tuple(sorted(shared))
    if not all(rests):
        return Narrowing(pairs, exact=True)
    names = {name for rest in rests for name, _ in rest}
    if len(names) == 1 and all(len(rest) == 1 for rest in rests):
        values = sorted({value for rest in rests for _, value in rest})
        return Narrowing((*pairs, (names.pop(), ",".join(values))), exact=True)
    return Narrowing(pairs, exact=False)


def _independent(units: tuple[Unit, ...]) -> bool:
    """Whether reach and constraints may be narrowed apart: all units agree in one of the two."""
    reaches = {unit.extent.compartments for unit in units if isinstance(unit.extent, Member)}
    return len(reaches) <= 1 or len({_demands(unit) for unit in units}) == 1


def _demands(unit: Unit) -> frozenset[Pair]:
    if unit.scope is None:
        return frozenset()
    return frozenset((pair.name, pair.value) for pair in unit.scope.constraints if pair.name != "_type")
