"""Criteria that look through a link into another resource: chains, `_has`, includes (checklist edge cases 111, 112).

Such a criterion is answered by data that does not come back, so no later check can see it: it is let through only
where everything it can look into is permitted by itself.
"""

from collections.abc import Iterator

from gateway.fhir.query import Has, Include, Key, Query
from gateway.fhir.search_parameters import aliases, only_reference, parameters_of
from gateway.policy.decision import Deny
from gateway.policy.grant import Grant
from gateway.policy.narrow import Pair
from gateway.policy.permission import owner_parameter
from gateway.policy.reasons import Reason
from gateway.scopes.resource_types import RESOURCE_TYPES

# They search by a list, a text index, a stored query or a language of their own: nothing here can judge those.
REFUSED_PARAMETERS = frozenset({"_filter", "_query", "_text", "_content", "_list", "_in"})


def objection(query: Query, resource_type: str, grant: Grant, owner: Pair | None) -> Deny | None:
    """The first criterion of the query that could look into what the token does not reach, as a refusal.

    `owner` is the pair, sent with the query, that says whose each match is.
    """
    if grant.unlimited:
        return None
    held = owner is not None and grant.rules.statement_known
    for key in _keys(query):
        refusal = _objection_to(key, resource_type, grant, held=held)
        if refusal is not None:
            return Deny(refusal, offender=str(key))
    return None


def looks_through_links(query: Query) -> bool:
    """Whether a criterion or a rule of its order is answered by other resources than those it finds."""
    return any(isinstance(key, Has) or len(key.hops) > 1 for key in _keys(query))


def _keys(query: Query) -> Iterator[Key | Has]:
    yield from (criterion.key for criterion in query.filters)
    yield from (rule.key for rule in query.sort)


def _objection_to(key: Key | Has, resource_type: str, grant: Grant, *, held: bool) -> Reason | None:
    """`held`: what the search finds is held inside the reach, and so is what a link to or from its owner leads to."""
    if isinstance(key, Has):
        if not _may_look_back(key, resource_type, grant, held=held):
            return Reason.PARAMETER_OUT_OF_REACH
        return _objection_to(key.key, key.resource_type, grant, held=held)
    first, *rest = key.hops
    if first.name in REFUSED_PARAMETERS:
        return Reason.PARAMETER_REFUSED
    if not rest:
        return None
    for target in link_targets(resource_type, first.name, first.modifier):
        if not _may_look_through(resource_type, first.name, target, grant, held=held):
            return Reason.PARAMETER_OUT_OF_REACH
        refusal = _objection_to(Key(tuple(rest)), target, grant, held=held)
        if refusal is not None:
            return refusal
    return None


def link_targets(resource_type: str, parameter: str, modifier: str | None) -> frozenset[str]:
    """The types that a reference parameter can lead to; a type as modifier says which one."""
    if modifier is not None:
        return frozenset({modifier})
    definition = parameters_of(resource_type).get(parameter)
    return definition.targets if definition is not None and definition.targets else RESOURCE_TYPES


def _may_look_through(resource_type: str, parameter: str, target: str, grant: Grant, *, held: bool) -> bool:
    """Whether every `target` that a permitted `resource_type.parameter` leads to is the token's to search."""
    if grant.find(target).unlimited:
        return True
    owners = grant.find(target).owners
    return (
        held
        and owners is not None
        and owners.compartment_type == target
        and owners == grant.find(resource_type).owners
        and _unconstrained(target, grant)
        and _leads_to_owner_alone(resource_type, parameter, target, grant)
    )


def _may_look_back(key: Has, resource_type: str, grant: Grant, *, held: bool) -> bool:
    """Whether every `key.resource_type` that points at a permitted resource is the token's to search."""
    if grant.find(key.resource_type).unlimited:
        return True
    owners = grant.find(resource_type).owners
    return (
        held
        and owners is not None
        and owners.compartment_type == resource_type
        and owners == grant.find(key.resource_type).owners
        and _unconstrained(key.resource_type, grant)
        and _names_owner(key.resource_type, key.reference, resource_type, grant)
    )


def _unconstrained(resource_type: str, grant: Grant) -> bool:
    return all(not unit.criteria for unit in grant.find(resource_type).units)


def _names_owner(resource_type: str, parameter: str, owner_type: str, grant: Grant) -> bool:
    """Whether `parameter` says whose record it is, so that each record in which it names the owner is a member."""
    name = owner_parameter(owner_type, resource_type, grant.rules)
    return name is not None and parameter in aliases(resource_type, name)


def _leads_to_owner_alone(resource_type: str, parameter: str, owner_type: str, grant: Grant) -> bool:
    """Whether `parameter` reads the one reference that says whose record it is, so that it leads nowhere else.

    An appointment is of all who take part in it: narrowing holds the appointment, and not the others' names.
    """
    name = owner_parameter(owner_type, resource_type, grant.rules)
    element = only_reference(resource_type, parameter)
    return name is not None and element is not None and element == only_reference(resource_type, name)


def reachable_includes(query: Query, grant: Grant) -> tuple[tuple[Include, ...], tuple[str, ...]]:
    """The includes worth sending, and those left out because the token reaches no type they can bring.

    What an include brings is judged entry by entry as well; leaving it out here saves the server the work.
    """
    sendable: list[Include] = []
    left_out: list[str] = []
    for include in query.includes:
        if any(grant.visible(target) for target in _include_targets(include)):
            sendable.append(include)
        else:
            left_out.append("{}={}".format(*include.pair()))
    return tuple(sendable), tuple(left_out)


def _include_targets(include: Include) -> frozenset[str]:
    if include.source == "*":
        return RESOURCE_TYPES
    if include.reverse:
        return frozenset({include.source})
    if include.parameter == "*":
        return RESOURCE_TYPES
    return link_targets(include.source, include.parameter, include.target)
