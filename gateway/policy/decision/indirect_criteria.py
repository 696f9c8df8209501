"""Criteria that read other resources than the ones they find: chains, `_has`, includes (edge cases 111, 112).

The resources that a chain or `_has` reads are not in the response, so the judge cannot check them. Such a criterion is
sent only if the token may search everything that it can read (leak_19).
"""

from collections.abc import Iterator

from gateway.fhir.matching.included_references import EVERY, compile_reference_readers
from gateway.fhir.search.query import Include, Query, ReverseChain, SearchKey
from gateway.fhir.search_parameters import find_aliases, find_single_reference_path, get_search_parameters
from gateway.policy.decision.narrow import QueryPair
from gateway.policy.decision_types import Deny
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.membership import owner_parameter
from gateway.policy.reasons import Reason
from gateway.scopes.resource_types import RESOURCE_TYPES

# They search by a list, a text index, a stored query or a query language, which cannot be checked here.
REFUSED_PARAMETERS = frozenset({"_filter", "_query", "_text", "_content", "_list", "_in"})


def refuse_indirect_criteria(
    query: Query, resource_type: str, grant: Grant, owner_pair: QueryPair | None
) -> Deny | None:
    """The refusal of the first criterion that could read data out of the token's reach; None if there is none.

    `owner_pair` is the pair of the narrowing that names the owners of the matches.
    """
    if grant.reads_everything:
        return None
    is_narrowed = owner_pair is not None and grant.rules.has_capability_statement
    for key in _keys(query):
        reason = _refusal_reason(key, resource_type, grant, is_narrowed=is_narrowed)
        if reason is not None:
            return Deny(reason, offender=str(key))
    return None


def has_indirect_criteria(query: Query) -> bool:
    """Whether a criterion or a sort rule reads other resources than the ones that are found."""
    return any(isinstance(key, ReverseChain) or len(key.links) > 1 for key in _keys(query))


def _keys(query: Query) -> Iterator[SearchKey | ReverseChain]:
    yield from (criterion.key for criterion in query.criteria)
    yield from (rule.key for rule in query.sort)


def _refusal_reason(
    key: SearchKey | ReverseChain, resource_type: str, grant: Grant, *, is_narrowed: bool
) -> Reason | None:
    """Why the criterion is refused. `is_narrowed` says that the upstream request names the owners of the matches."""
    if isinstance(key, ReverseChain):
        if not _may_follow_reverse_reference(key, resource_type, grant, is_narrowed=is_narrowed):
            return Reason.PARAMETER_OUT_OF_REACH
        return _refusal_reason(key.key, key.resource_type, grant, is_narrowed=is_narrowed)
    first_hop, *further_hops = key.links
    if first_hop.name in REFUSED_PARAMETERS:
        return Reason.PARAMETER_REFUSED
    if not further_hops:
        return None
    for target in reference_target_types(resource_type, first_hop.name, first_hop.modifier):
        if not _may_follow_reference(resource_type, first_hop.name, target, grant, is_narrowed=is_narrowed):
            return Reason.PARAMETER_OUT_OF_REACH
        reason = _refusal_reason(SearchKey(tuple(further_hops)), target, grant, is_narrowed=is_narrowed)
        if reason is not None:
            return reason
    return None


def reference_target_types(resource_type: str, parameter: str, modifier: str | None) -> frozenset[str]:
    """The types that a reference parameter can refer to; a modifier names a single type."""
    if modifier is not None:
        return frozenset({modifier})
    definition = get_search_parameters(resource_type).get(parameter)
    return definition.targets if definition is not None and definition.targets else RESOURCE_TYPES


def _may_follow_reference(resource_type: str, parameter: str, target: str, grant: Grant, *, is_narrowed: bool) -> bool:
    """Whether the token may search every resource of `target` that `parameter` of a permitted resource refers to."""
    if grant.search_permission(target).covers_whole_type:
        return True
    compartments = grant.search_permission(target).common_compartments
    return (
        is_narrowed
        and compartments is not None
        and compartments.compartment_type == target
        and compartments == grant.search_permission(resource_type).common_compartments
        and _has_no_criteria(target, grant)
        and _leads_only_to_owner(resource_type, parameter, target, grant)
    )


def _may_follow_reverse_reference(key: ReverseChain, resource_type: str, grant: Grant, *, is_narrowed: bool) -> bool:
    """Whether the token may search every resource of `key.resource_type` that refers to a permitted resource."""
    if grant.search_permission(key.resource_type).covers_whole_type:
        return True
    compartments = grant.search_permission(resource_type).common_compartments
    return (
        is_narrowed
        and compartments is not None
        and compartments.compartment_type == resource_type
        and compartments == grant.search_permission(key.resource_type).common_compartments
        and _has_no_criteria(key.resource_type, grant)
        and _is_owner_parameter(key.resource_type, key.reference_parameter, resource_type, grant)
    )


def _has_no_criteria(resource_type: str, grant: Grant) -> bool:
    units = grant.search_permission(resource_type).units
    return all(not unit.criteria and not unit.record_rules for unit in units)


def _is_owner_parameter(resource_type: str, parameter: str, owner_type: str, grant: Grant) -> bool:
    """Whether `parameter` names the owner of the resource, so that each resource it finds is in the compartment."""
    name = owner_parameter(owner_type, resource_type, grant.rules)
    return name is not None and parameter in find_aliases(resource_type, name)


def _leads_only_to_owner(resource_type: str, parameter: str, owner_type: str, grant: Grant) -> bool:
    """Whether `parameter` reads the only reference to the owner, so that it cannot lead to anybody else.

    An Appointment, for example, refers to everybody who takes part. Narrowing limits the appointments that are found,
    but not whose names a chain through them can read.
    """
    name = owner_parameter(owner_type, resource_type, grant.rules)
    element = find_single_reference_path(resource_type, parameter)
    return name is not None and element is not None and element == find_single_reference_path(resource_type, name)


def select_includes(query: Query, grant: Grant) -> tuple[tuple[Include, ...], tuple[str, ...]]:
    """Split the includes into those to send, and notes on those that could add nothing to the response.

    Every included entry is judged as well, and kept only where the parameter leads to it. Leaving an include out saves
    the server the work.
    """
    selected: list[Include] = []
    omitted: list[str] = []
    for include in query.includes:
        note = "{}={}".format(*include.pair())
        if not any(grant.read_or_search_permission(target) for target in _included_types(include)):
            omitted.append(note)
        elif not grant.reads_everything and _is_unverifiable(include):
            omitted.append(f"{note} (a parameter that R4 does not define cannot be verified)")
        else:
            selected.append(include)
    return tuple(selected), tuple(omitted)


def _is_unverifiable(include: Include) -> bool:
    """Whether the parameter is one of `upstream.extra_search_parameters`, of which only the name and type are known."""
    return include.parameter != EVERY and not compile_reference_readers(include.source, include.parameter)


def _included_types(include: Include) -> frozenset[str]:
    if include.source == EVERY:
        return RESOURCE_TYPES
    if include.reverse:
        return frozenset({include.source})
    if include.parameter == EVERY:
        return RESOURCE_TYPES
    return reference_target_types(include.source, include.parameter, include.target)
