"""Lock two, narrow: query parameters that are added to a search so that the FHIR server finds only what is permitted.

They are compiled from the same units that the judge uses. Servers combine repeated parameters with AND (R4 Search
3.1.1.4.2), so the added parameters can only reduce the result, whatever criteria the client sends (leak_04).
"""

from dataclasses import dataclass
from functools import reduce

from gateway.fhir.search.query import Query, SearchKey
from gateway.fhir.search_parameters import find_aliases, get_search_parameters
from gateway.policy.permission.membership import owner_parameter
from gateway.policy.permission.permission import Permission
from gateway.policy.permission.reach import Everything
from gateway.policy.permission.rules import Rules
from gateway.policy.permission.unit import CompartmentExtent, Unit

QueryPair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The query pairs that are added to a search.

    `is_exact` says that a server which honours them returns nothing that the judge would drop. `owner_pair` is the one
    that names the owners of the matches (`patient=Patient/A`); None if no such pair can be sent.
    """

    pairs: tuple[QueryPair, ...]
    is_exact: bool
    owner_pair: QueryPair | None = None


def narrow(permission: Permission, rules: Rules) -> Narrowing:
    """The narrowing of a search by `permission`, whose units are OR-ed."""
    if permission.covers_whole_type:
        return Narrowing((), is_exact=True)
    by_compartment = _narrow_to_compartments(permission, rules)
    by_constraints = _narrow_to_constraints(permission.units)
    pairs = by_compartment.pairs + by_constraints.pairs
    unsupported = rules.unsupported_parameters.get(permission.resource_type, frozenset())
    supported_pairs = tuple((name, value) for name, value in pairs if name not in unsupported)
    is_exact = (
        by_compartment.is_exact
        and by_constraints.is_exact
        and supported_pairs == pairs
        and _can_narrow_separately(permission.units)
        and not permission.has_record_rules
    )
    owner_pair = by_compartment.owner_pair if by_compartment.owner_pair in supported_pairs else None
    return Narrowing(supported_pairs, is_exact and rules.has_capability_statement, owner_pair)


def _narrow_to_compartments(permission: Permission, rules: Rules) -> Narrowing:
    extents = [unit.extent for unit in permission.units]
    if all(isinstance(extent, Everything) for extent in extents):
        return Narrowing((), is_exact=True)
    compartments = [extent.compartments for extent in extents if isinstance(extent, CompartmentExtent)]
    compartment_types = {compartment.compartment_type for compartment in compartments}
    if len(compartments) < len(extents) or len(compartment_types) != 1:
        return Narrowing((), is_exact=False)
    compartment_type = compartment_types.pop()
    name = owner_parameter(compartment_type, permission.resource_type, rules)
    if name is None:
        return Narrowing((), is_exact=False)
    name = supported_alias(permission.resource_type, name, compartment_type, rules)
    ids = sorted(set().union(*(compartment.ids for compartment in compartments)))
    prefix = "" if name == "_id" else f"{compartment_type}/"
    owner_pair = (name, ",".join(prefix + owner_id for owner_id in ids))
    return Narrowing((owner_pair,), is_exact=True, owner_pair=owner_pair)


def supported_alias(resource_type: str, name: str, owner_type: str, rules: Rules) -> str:
    """The parameter, or if the server does not declare it, another one that reads the owner from the same element."""
    unsupported = rules.unsupported_parameters.get(resource_type, frozenset())
    if name not in unsupported:
        return name
    definitions = get_search_parameters(resource_type)
    supported_aliases = sorted(find_aliases(resource_type, name) - unsupported)
    return next(
        (alias for alias in supported_aliases if owner_type in (definitions[alias].targets or {owner_type})), name
    )


def limit_owners(narrowing: Narrowing, query: Query, resource_type: str, rules: Rules) -> Narrowing:
    """The narrowing without the owners for whom the client does not ask, and without any where too many remain.

    A user may reach thousands of patients. Apps ask for one of them, as a rule; and servers fail where a search lists
    too many. What is not narrowed is verified all the same (enforcement.md 8).
    """
    owner_pair = narrowing.owner_pair
    if owner_pair is None or "," not in owner_pair[1]:
        return narrowing
    asked_pair = _name_asked_owners(query, resource_type, owner_pair)
    if asked_pair[1].count(",") < rules.max_owners_per_search:
        pairs = tuple(asked_pair if pair == owner_pair else pair for pair in narrowing.pairs)
        return Narrowing(pairs, narrowing.is_exact, asked_pair)
    return Narrowing(tuple(pair for pair in narrowing.pairs if pair != owner_pair), is_exact=False)


def _name_asked_owners(query: Query, resource_type: str, owner_pair: QueryPair) -> QueryPair:
    """The pair with the owners whom the client's own criterion names, if it names only such as the pair lists."""
    name, value = owner_pair
    aliases = find_aliases(resource_type, name)
    owners = {owner.rpartition("/")[2]: owner for owner in value.split(",")}
    owners |= {owner: owner for owner in owners.values()}
    for criterion in query.criteria:
        if isinstance(criterion.key, SearchKey) and len(criterion.key.links) == 1:
            link, asked = criterion.key.links[0], criterion.value.split(",")
            if link.name in aliases and link.modifier is None and owners.keys() >= set(asked):
                return name, ",".join(sorted({owners[text] for text in asked}))
    return owner_pair


def _narrow_to_constraints(units: tuple[Unit, ...]) -> Narrowing:
    """The constraints that all units share. If the units differ only in the values of one parameter, also their OR."""
    constraint_sets = [_constraint_pairs(unit) for unit in units]
    common = reduce(frozenset.intersection, constraint_sets)
    differing_sets = [constraints - common for constraints in constraint_sets]
    pairs = tuple(sorted(common))
    if not all(differing_sets):
        return Narrowing(pairs, is_exact=True)
    names = {name for constraints in differing_sets for name, _ in constraints}
    if len(names) == 1 and all(len(constraints) == 1 for constraints in differing_sets):
        values = sorted({value for constraints in differing_sets for _, value in constraints})
        return Narrowing((*pairs, (names.pop(), ",".join(values))), is_exact=True)
    return Narrowing(pairs, is_exact=False)


def _can_narrow_separately(units: tuple[Unit, ...]) -> bool:
    """Whether narrowing by compartments and by constraints separately is exact: all units agree in one of the two."""
    compartment_sets = {unit.extent.compartments for unit in units if isinstance(unit.extent, CompartmentExtent)}
    return len(compartment_sets) <= 1 or len({_constraint_pairs(unit) for unit in units}) == 1


def _constraint_pairs(unit: Unit) -> frozenset[QueryPair]:
    if unit.scope is None:
        return frozenset()
    return frozenset((pair.name, pair.value) for pair in unit.scope.constraints if pair.name != "_type")
