"""What is left of lock two where the FHIR server does not declare the parameter that says whom a record is about.

Our own criterion is not sent then (`narrow`). A client asks by the same parameter, since that is how apps search
(`Goal?patient=A`): its criterion is not sent either, but evaluated here on every match. Any other undeclared parameter
is sent, and the server refuses it.
"""

from dataclasses import replace

from gateway.fhir.matching.criterion import CompiledCriterion
from gateway.fhir.search.evaluable_criterion import compile_search_criterion
from gateway.fhir.search.query import Query, SearchCriterion, SearchKey
from gateway.fhir.search_parameters import find_aliases
from gateway.policy.decision.narrow import Narrowing
from gateway.policy.permission.membership import owner_parameter
from gateway.policy.permission.permission import Permission
from gateway.policy.permission.rules import Rules
from gateway.policy.permission.unit import CompartmentExtent, SharedTypeExtent


def split_undeclared_criteria(
    query: Query, permission: Permission, rules: Rules
) -> tuple[Query, tuple[CompiledCriterion, ...]]:
    """The query to send, and the criteria to evaluate here.

    The latter name the owner of a record by an undeclared parameter, without modifier or chain.
    """
    names = _undeclared_owner_parameters(permission, rules)
    if not names:
        return query, ()
    sent: list[SearchCriterion] = []
    evaluated: list[CompiledCriterion] = []
    for criterion in query.criteria:
        compiled = _compile(criterion, names, permission.resource_type, rules)
        if compiled is None:
            sent.append(criterion)
        else:
            evaluated.append(compiled)
    return (replace(query, criteria=tuple(sent)) if evaluated else query), tuple(evaluated)


def names_undeclared_parameter(query: Query, resource_type: str, rules: Rules) -> bool:
    """Whether a criterion or a sort rule uses a parameter that the server does not declare for the type."""
    undeclared = rules.unsupported_parameters.get(resource_type)
    if not undeclared:
        return False
    keys = [criterion.key for criterion in query.criteria] + [rule.key for rule in query.sort]
    return any(isinstance(key, SearchKey) and key.links[0].name in undeclared for key in keys)


def searches_beyond_reach(permission: Permission, narrowing: Narrowing) -> bool:
    """Whether the narrowed search still finds, by its nature, records of others than the token reaches.

    A shared type belongs to nobody, so that nothing narrows it.
    """
    if any(unit.is_unconstrained for unit in permission.units) or narrowing.owner_pair is not None:
        return False
    if any(isinstance(unit.extent, SharedTypeExtent) and not unit.criteria for unit in permission.units):
        return False
    return not narrowing.pairs or all(isinstance(unit.extent, CompartmentExtent) for unit in permission.units)


def _undeclared_owner_parameters(permission: Permission, rules: Rules) -> frozenset[str]:
    undeclared = rules.unsupported_parameters.get(permission.resource_type)
    compartments = permission.common_compartments
    if not undeclared or compartments is None:
        return frozenset()
    name = owner_parameter(compartments.compartment_type, permission.resource_type, rules)
    return frozenset() if name is None else find_aliases(permission.resource_type, name) & undeclared


def _compile(
    criterion: SearchCriterion, names: frozenset[str], resource_type: str, rules: Rules
) -> CompiledCriterion | None:
    key = criterion.key
    if not isinstance(key, SearchKey) or key.links[0].name not in names:
        return None
    return compile_search_criterion(criterion, resource_type, rules.bases)
