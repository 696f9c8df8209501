"""The decision on a search: what is asked of the server, and what its answer is held to (enforcement.md 4)."""

from dataclasses import replace

from gateway.fhir.interaction import ALL_TYPES, CompartmentSearch, SystemSearch, TypeSearch
from gateway.fhir.query import Filter, Hop, Key, Query, Summary, Total, encode_pairs
from gateway.fhir.reference import Reference
from gateway.policy.decision import Allow, Decision, Deny, Keep, KeepMatches, Send
from gateway.policy.elements import widened
from gateway.policy.grant import Grant
from gateway.policy.lacking import lacking, no_type_left, types_to_search
from gateway.policy.linked import looks_through_links, objection, reachable_includes
from gateway.policy.narrow import Narrowing, Pair, narrow
from gateway.policy.own_address import with_relative_references
from gateway.policy.permission import Permission, owner_parameter
from gateway.policy.reasons import Reason
from gateway.policy.rules import MembershipMode
from gateway.scopes.model import Letter

_ID_KEY = Key((Hop("_id"),))


def decide_type_search(search: TypeSearch, grant: Grant) -> Decision:
    """Of one type: narrowed, looked through for links that lead out, then sent."""
    ids = _named_ids(search.query)
    permission = grant.find(search.resource_type) if ids is None else grant.search(search.resource_type)
    if not permission:
        if grant.search(search.resource_type):
            return Deny(Reason.SEARCH_BY_ID_ONLY, offender=search.resource_type)
        return lacking(grant, search.resource_type, Letter.SEARCH)
    narrowing = _narrowing(search, permission, grant)
    refusal = objection(search.query, search.resource_type, grant, narrowing.owner)
    if refusal is not None:
        return refusal
    asked = with_relative_references(search.query, search.resource_type, grant.rules.public_base)
    query = _searchable_query(asked, permission, grant, narrowing)
    if query is None:
        return Deny(Reason.COUNT_NOT_EXACT, offender="_summary" if search.query.summary else "_count")
    includes, left_out = reachable_includes(query, grant)
    send = _narrowed_send(search.resource_type, replace(query, includes=includes), permission, narrowing, grant)
    return Allow(send, KeepMatches(grant, permission, ids, narrowing.exact), left_out=left_out)


def _named_ids(query: Query) -> frozenset[str] | None:
    """The ids that every match must be among, where the query names them by `_id`."""
    named = [set(criterion.value.split(",")) for criterion in query.filters if criterion.key == _ID_KEY]
    return frozenset(set.intersection(*named)) if named else None


def _narrowing(search: TypeSearch, permission: Permission, grant: Grant) -> Narrowing:
    narrowing = narrow(permission, grant.rules)
    targets = any(str(criterion.key).startswith("target") for criterion in search.query.filters)
    if search.resource_type == "Provenance" and targets and not permission.unlimited:
        # A Provenance is visible through any readable target (enforcement.md 8), so `patient=` would hide most.
        return Narrowing((), exact=False)
    return narrowing


def _searchable_query(query: Query, permission: Permission, grant: Grant, narrowing: Narrowing) -> Query | None:
    """The client's query as it may be sent; None where it asks to count what is hidden (leak_19)."""
    if grant.unlimited:
        return query
    counts = query.summary is Summary.COUNT or query.count == 0
    if counts:
        return query if narrowing.exact else None
    total = query.total if narrowing.exact or query.total is Total.NONE else None
    # An include is kept where what refers to it shows that; and some servers abridge what is included as well.
    elements = () if query.includes else widened(query.elements, permission)
    return replace(query, summary=None, total=total, elements=elements)


def _narrowed_send(
    resource_type: str, query: Query, permission: Permission, narrowing: Narrowing, grant: Grant
) -> Send:
    """The search as it is sent: in the compartment where the server can, else by the parameter that names its owner.

    A compartment holds what is about others too. What is counted, or looked into through a link, must be the owner's.
    """
    path, pairs, rules = f"/{resource_type}", narrowing.pairs, grant.rules
    owner = _only_owner(permission) if rules.compartment_search and pairs else None
    if owner is not None and owner.resource_type != resource_type and resource_type not in rules.extra_membership:
        path = f"/{owner}/{resource_type}"
        if rules.membership is MembershipMode.FULL and not looks_through_links(query):
            pairs = tuple(pair for pair in pairs if pair != narrowing.owner)
    already = set(query.pairs())
    added = tuple(pair for pair in pairs if pair not in already)
    return Send(path, _with_pairs(added, query), search=True)


def _only_owner(permission: Permission) -> Reference | None:
    """The one resource whose compartment all units share, if there is one."""
    owners = permission.owners
    if owners is None or len(owners.ids) != 1:
        return None
    return Reference(owners.compartment_type, next(iter(owners.ids)))


def decide_compartment_search(search: CompartmentSearch, grant: Grant) -> Decision:
    """Resolved to (compartment, type, query): not every server searches compartments (hapi.md)."""
    if search.resource_type == ALL_TYPES:
        return _decide_whole_compartment(search, grant)
    name = owner_parameter(search.compartment_type, search.resource_type, grant.rules)
    if name is None:
        return Deny(Reason.TYPE_OUT_OF_REACH, offender=f"{search.compartment_type}/{search.resource_type}")
    value = search.compartment_id if name == "_id" else f"{search.compartment_type}/{search.compartment_id}"
    owner = Filter(Key((Hop(name),)), value)
    query = replace(search.query, filters=(owner, *search.query.filters))
    return decide_type_search(TypeSearch(search.resource_type, query), grant)


def _decide_whole_compartment(search: CompartmentSearch, grant: Grant) -> Decision:
    if not grant.rules.compartment_search:
        return Deny(Reason.INTERACTION_NOT_SUPPORTED, offender=f"{search.compartment_type}/{search.compartment_id}/*")
    decision = decide_system_search(SystemSearch(search.query), grant)
    if not isinstance(decision, Allow):
        return decision
    path = f"/{search.compartment_type}/{search.compartment_id}/*"
    return replace(decision, send=replace(decision.send, path=path))


def decide_system_search(search: SystemSearch, grant: Grant) -> Decision:
    """Of the types within reach, by what narrows them all."""
    types, left_out = types_to_search(search.query.types, grant)
    if not types and not grant.unlimited:
        return no_type_left(search.query.types, grant)
    narrowings = [narrow(grant.find(name), grant.rules) for name in types]
    common = _common(narrowings)
    for name, narrowing in zip(types, narrowings, strict=True):
        owner = narrowing.owner if narrowing.owner in common else None
        refusal = objection(search.query, name, grant, owner)
        if refusal is not None:
            return refusal
    query = replace(search.query, types=types)
    if not grant.unlimited:
        if query.summary is Summary.COUNT or query.count == 0:
            return Deny(Reason.COUNT_NOT_EXACT, offender="_summary" if query.summary else "_count")
        query = replace(query, summary=None, total=None, elements=())
    includes, stripped = reachable_includes(query, grant)
    keep: Keep = KeepMatches(grant, None, None, exact=grant.unlimited, types=frozenset(types) or None)
    encoded = _with_pairs(common, replace(query, includes=includes))
    return Allow(Send("", encoded, search=True), keep, left_out=(*left_out, *stripped))


def _common(narrowings: list[Narrowing]) -> tuple[Pair, ...]:
    """What narrows each of several types: one query is asked of them all."""
    first, *others = narrowings or [Narrowing((), exact=False)]
    return tuple(pair for pair in first.pairs if all(pair in other.pairs for other in others))


def _with_pairs(pairs: tuple[Pair, ...], query: Query) -> str:
    return "&".join(filter(None, (encode_pairs(pairs), query.encode())))
