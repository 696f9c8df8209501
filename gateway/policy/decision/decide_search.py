"""Lock one for searches: the narrowed request to the FHIR server and the filter for its response (enforcement.md 4)."""

from dataclasses import replace

from gateway.fhir.reference import Reference
from gateway.fhir.request.interaction import ALL_TYPES, CompartmentSearch, SystemSearch, TypeSearch
from gateway.fhir.search.query import ChainLink, Query, SearchCriterion, SearchKey, SummaryMode, TotalMode, encode_pairs
from gateway.policy.decision.elements import widen_elements
from gateway.policy.decision.indirect_criteria import has_indirect_criteria, refuse_indirect_criteria, select_includes
from gateway.policy.decision.missing_scope import deny_all_types, deny_missing_scope, select_types
from gateway.policy.decision.narrow import Narrowing, QueryPair, limit_owners, narrow, supported_alias
from gateway.policy.decision.public_references import relativize_references
from gateway.policy.decision.undeclared_criteria import (
    names_undeclared_parameter,
    searches_beyond_reach,
    split_undeclared_criteria,
)
from gateway.policy.decision_types import Allow, Decision, Deny, SearchFilter, UpstreamRequest
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.membership import owner_parameter
from gateway.policy.permission.permission import Permission
from gateway.policy.permission.reach import CompartmentSet
from gateway.policy.permission.rules import MembershipMode, Rules, UnnarrowedSearch
from gateway.policy.reasons import Reason
from gateway.scopes.model import Letter

# The server's page of a search that finds the records of others as well.
MIN_UNNARROWED_PAGE = 50

_ID_KEY = SearchKey((ChainLink("_id"),))


def decide_type_search(search: TypeSearch, grant: Grant, compartment: Reference | None = None) -> Decision:
    """Decide on a search of one type. Its criteria are checked, and the query is narrowed.

    Every match must be a member of the compartment of `compartment`, if it is given.
    """
    named_ids = _find_named_ids(search.query)
    permission = (
        grant.search_permission(search.resource_type)
        if named_ids is None
        else grant.id_search_permission(search.resource_type)
    )
    if not permission:
        if grant.id_search_permission(search.resource_type):
            return Deny(Reason.SEARCH_BY_ID_ONLY, offender=search.resource_type)
        return deny_missing_scope(grant, search.resource_type, Letter.SEARCH)
    narrowing = _narrow_type_search(search, permission, grant)
    is_narrowed = _is_narrowed(search, permission, narrowing, grant, compartment)
    if grant.rules.search_without_narrowing is UnnarrowedSearch.REFUSE and not is_narrowed:
        return Deny(Reason.SEARCH_NOT_NARROWED, offender=search.resource_type)
    refusal = refuse_indirect_criteria(search.query, search.resource_type, grant, narrowing.owner_pair)
    if refusal is not None:
        return refusal
    relative_query = relativize_references(search.query, search.resource_type, grant.rules.public_base)
    declared_query, criteria = split_undeclared_criteria(relative_query, permission, grant.rules)
    is_exact = narrowing.is_exact and not criteria and _can_ask_for(compartment, search.resource_type, grant.rules)
    search_filter = SearchFilter(grant, permission, named_ids, is_exact, criteria=criteria, compartment=compartment)
    query = _adapt_query(declared_query, permission, search_filter)
    if query is None:
        return Deny(Reason.COUNT_NOT_EXACT, offender="_summary" if search.query.summary else "_count")
    if not is_narrowed:
        query, search_filter = _lengthen_pages(query, search_filter)
    includes, omitted = select_includes(query, grant)
    request = _build_request(search.resource_type, replace(query, includes=includes), permission, narrowing, grant)
    return Allow(request, search_filter, omitted_parameters=omitted)


def _is_narrowed(
    search: TypeSearch, permission: Permission, narrowing: Narrowing, grant: Grant, compartment: Reference | None
) -> bool:
    """Whether the search that is sent can find only what the token reaches, or the few records that it names."""
    if narrowing.owner_pair is not None or _find_named_ids(search.query) is not None or _names_target(search):
        return True
    can_ask = _can_ask_for(compartment, search.resource_type, grant.rules)
    return can_ask and not searches_beyond_reach(permission, narrowing)


def _find_named_ids(query: Query) -> frozenset[str] | None:
    """The ids that the query names by `_id`, to one of which every match must belong; None if it names none."""
    id_sets = [set(criterion.value.split(",")) for criterion in query.criteria if criterion.key == _ID_KEY]
    return frozenset(set.intersection(*id_sets)) if id_sets else None


def _narrow_type_search(search: TypeSearch, permission: Permission, grant: Grant) -> Narrowing:
    if _names_target(search) and not permission.covers_whole_type:
        # Any readable target makes a Provenance visible (enforcement.md 8), so `patient=` would hide most of them.
        return Narrowing((), is_exact=False)
    return limit_owners(narrow(permission, grant.rules), search.query, permission.resource_type, grant.rules)


def _names_target(search: TypeSearch) -> bool:
    return search.resource_type == "Provenance" and any(
        str(criterion.key).startswith("target") for criterion in search.query.criteria
    )


def _adapt_query(query: Query, permission: Permission, search_filter: SearchFilter) -> Query | None:
    """The client's query as it may be sent; None if it asks for a count that would include hidden data (leak_19)."""
    if search_filter.keeps_everything:
        return query
    if query.summary is SummaryMode.COUNT or query.count == 0:
        return query if search_filter.is_exact else None
    total = query.total if search_filter.is_exact or query.total is TotalMode.NONE else None
    # Includes need the complete match, whose references explain them, and so do conditions on it. Some servers also
    # abridge included resources.
    needs_everything = query.includes or search_filter.has_conditions
    elements = () if needs_everything else widen_elements(query.elements, permission)
    return replace(query, summary=None, total=total, elements=elements)


def _lengthen_pages(query: Query, search_filter: SearchFilter) -> tuple[Query, SearchFilter]:
    """Ask for longer pages than the client, most of whose entries may be dropped, and remember the client's size.

    Otherwise a search with `_count=1` would look at no more than a handful of records for one response.
    """
    if query.count is None or query.count >= MIN_UNNARROWED_PAGE:
        return query, search_filter
    return replace(query, count=MIN_UNNARROWED_PAGE), replace(search_filter, page_size=query.count)


def _build_request(
    resource_type: str, query: Query, permission: Permission, narrowing: Narrowing, grant: Grant
) -> UpstreamRequest:
    """The request to the FHIR server: a search in the compartment if it supports that, else by the owner parameter.

    A compartment also contains resources about others: an Observation that the patient performed. The owner parameter
    is left away only if membership is the full compartment and no criterion reads other resources.
    """
    path, pairs, rules = f"/{resource_type}", narrowing.pairs, grant.rules
    compartment = _single_compartment(permission) if rules.compartment_search and pairs else None
    if (
        compartment is not None
        and compartment.resource_type != resource_type
        and resource_type not in rules.extra_membership
        # Below a compartment some servers ignore a parameter that they refuse elsewhere.
        and not names_undeclared_parameter(query, resource_type, rules)
    ):
        path = f"/{compartment}/{resource_type}"
        if rules.membership is MembershipMode.FULL and not has_indirect_criteria(query):
            pairs = tuple(pair for pair in pairs if pair != narrowing.owner_pair)
    client_pairs = set(query.pairs())
    added_pairs = tuple(pair for pair in pairs if pair not in client_pairs)
    return UpstreamRequest(path, _encode_query(added_pairs, query), is_search=True)


def _single_compartment(permission: Permission) -> Reference | None:
    """The owner of the compartment that all units share; None if they do not share a single one."""
    compartments = permission.common_compartments
    if compartments is None or len(compartments.ids) != 1:
        return None
    return Reference(compartments.compartment_type, next(iter(compartments.ids)))


def decide_compartment_search(search: CompartmentSearch, grant: Grant) -> Decision:
    """Decide on a search in a compartment as on one of the type, since not every server supports it (hapi.md)."""
    if search.resource_type == ALL_TYPES:
        return _decide_all_types_of_compartment(search, grant)
    compartment = Reference(search.compartment_type, search.compartment_id)
    parameter = _owner_parameter_to_send(compartment, search.resource_type, grant.rules)
    if parameter is None:
        return Deny(Reason.TYPE_OUT_OF_REACH, offender=f"{search.compartment_type}/{search.resource_type}")
    type_search = TypeSearch(search.resource_type, search.query)
    if _is_whole_reach(compartment, search.resource_type, grant):
        return decide_type_search(type_search, grant)
    if _is_declared(parameter, search.resource_type, grant.rules):
        value = search.compartment_id if parameter == "_id" else str(compartment)
        owner = SearchCriterion(SearchKey((ChainLink(parameter),)), value)
        type_search = replace(type_search, query=replace(search.query, criteria=(owner, *search.query.criteria)))
    return decide_type_search(type_search, grant, compartment)


def _is_whole_reach(compartment: Reference, resource_type: str, grant: Grant) -> bool:
    """Whether the token reaches exactly this compartment, so that every search is in it.

    A Provenance may be visible without being a member (enforcement.md 8).
    """
    reach = CompartmentSet(compartment.resource_type, frozenset({compartment.id}))
    return grant.search_permission(resource_type).common_compartments == reach and resource_type != "Provenance"


def _owner_parameter_to_send(compartment: Reference, resource_type: str, rules: Rules) -> str | None:
    """The parameter that names the owner, by an alias if the server declares only that; None if no record has one."""
    name = owner_parameter(compartment.resource_type, resource_type, rules)
    return None if name is None else supported_alias(resource_type, name, compartment.resource_type, rules)


def _is_declared(parameter: str, resource_type: str, rules: Rules) -> bool:
    return parameter not in rules.unsupported_parameters.get(resource_type, ())


def _can_ask_for(compartment: Reference | None, resource_type: str, rules: Rules) -> bool:
    """Whether the server declares the parameter that names the owner of the compartment."""
    if compartment is None:
        return True
    parameter = _owner_parameter_to_send(compartment, resource_type, rules)
    return parameter is not None and _is_declared(parameter, resource_type, rules)


def _decide_all_types_of_compartment(search: CompartmentSearch, grant: Grant) -> Decision:
    compartment = Reference(search.compartment_type, search.compartment_id)
    if not grant.rules.compartment_search:
        return Deny(Reason.INTERACTION_NOT_SUPPORTED, offender=f"{compartment}/*")
    return decide_system_search(SystemSearch(search.query), grant, compartment)


def decide_system_search(search: SystemSearch, grant: Grant, compartment: Reference | None = None) -> Decision:
    """Decide on a search of several types, below `compartment` if it is given.

    It is limited to the types within reach, and narrowed by what they share.
    """
    types, omitted_types = select_types(search.query.types, grant)
    if not types and not grant.reads_everything:
        return deny_all_types(search.query.types, grant)
    narrowings = [
        limit_owners(narrow(grant.search_permission(name), grant.rules), search.query, name, grant.rules)
        for name in types
    ]
    common_pairs = _common_pairs(narrowings)
    for name, narrowing in zip(types, narrowings, strict=True):
        owner_pair = narrowing.owner_pair if narrowing.owner_pair in common_pairs else None
        shared = Narrowing(common_pairs, is_exact=False, owner_pair=owner_pair)
        is_narrowed = compartment is not None or not searches_beyond_reach(grant.search_permission(name), shared)
        if grant.rules.search_without_narrowing is UnnarrowedSearch.REFUSE and not is_narrowed:
            return Deny(Reason.SEARCH_NOT_NARROWED, offender=name)
        refusal = refuse_indirect_criteria(search.query, name, grant, owner_pair)
        if refusal is not None:
            return refusal
    query = replace(search.query, types=types)
    if not grant.reads_everything:
        if query.summary is SummaryMode.COUNT or query.count == 0:
            return Deny(Reason.COUNT_NOT_EXACT, offender="_summary" if query.summary else "_count")
        query = replace(query, summary=None, total=None, elements=())
    includes, omitted_includes = select_includes(query, grant)
    search_filter = SearchFilter(
        grant,
        None,
        None,
        is_exact=grant.reads_everything,
        searched_types=frozenset(types) or None,
        compartment=compartment,
    )
    encoded_query = _encode_query(common_pairs, replace(query, includes=includes))
    return Allow(
        UpstreamRequest("" if compartment is None else f"/{compartment}/*", encoded_query, is_search=True),
        search_filter,
        omitted_parameters=(*omitted_types, *omitted_includes),
    )


def _common_pairs(narrowings: list[Narrowing]) -> tuple[QueryPair, ...]:
    """The pairs that narrow every one of several types, since one query is sent for all of them."""
    first, *others = narrowings or [Narrowing((), is_exact=False)]
    return tuple(pair for pair in first.pairs if all(pair in other.pairs for other in others))


def _encode_query(pairs: tuple[QueryPair, ...], query: Query) -> str:
    return "&".join(filter(None, (encode_pairs(pairs), query.encode())))
