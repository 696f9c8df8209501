"""Lock one: the decision, a pure and total function of the interaction and the grant (enforcement.md 1, 4)."""

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from gateway.fhir.interaction import (
    ALL_TYPES,
    BundlePost,
    Capabilities,
    CompartmentSearch,
    InstanceHistory,
    Interaction,
    Operation,
    Page,
    Read,
    SystemHistory,
    SystemSearch,
    TypeHistory,
    TypeSearch,
    VRead,
    Write,
)
from gateway.fhir.query import Filter, Hop, Key, Query, Summary, Total, encode_pairs
from gateway.fhir.reference import Reference
from gateway.policy.decision import (
    Allow,
    Decision,
    Deny,
    Keep,
    KeepBinary,
    KeepCapabilities,
    KeepMatches,
    KeepResource,
    KeepVersions,
    Need,
    Relay,
    Send,
)
from gateway.policy.grant import Grant
from gateway.policy.linked import looks_through_links, objection, reachable_includes
from gateway.policy.narrow import Narrowing, Pair, narrow
from gateway.policy.own_address import with_relative_references
from gateway.policy.permission import Permission, owner_parameter
from gateway.policy.reasons import Reason
from gateway.policy.rules import MembershipMode
from gateway.scopes.model import Context, Letter

_ID_KEY = Key((Hop("_id"),))


def decide(interaction: Interaction, grant: Grant) -> Decision:
    """What to do with a request: `Allow`, `Deny`, or `Need` where a fact about the user must be fetched first."""
    if isinstance(interaction, Capabilities):
        return Allow(Send("/metadata"), KeepCapabilities())
    if grant.missing_fact is not None:
        return Need(grant.missing_fact)
    match interaction:
        case Read():
            return _decide_read(interaction, grant)
        case VRead():
            return _decide_vread(interaction, grant)
        case InstanceHistory():
            return _decide_instance_history(interaction, grant)
        case TypeHistory():
            return _decide_type_history(interaction, grant)
        case SystemHistory():
            return _decide_system_history(interaction, grant)
        case TypeSearch():
            return _decide_type_search(interaction, grant)
        case CompartmentSearch():
            return _decide_compartment_search(interaction, grant)
        case SystemSearch():
            return _decide_system_search(interaction, grant)
        case Page():
            return Deny(Reason.PAGE_UNKNOWN)
        case Write() | BundlePost():
            return Deny(Reason.INTERACTION_NOT_SUPPORTED)
        case Operation():
            return Deny(Reason.OPERATION_NOT_ALLOWED, offender=f"${interaction.name}")
    assert_never(interaction)


def _lacking(grant: Grant, resource_type: str, letter: Letter) -> Deny:
    reason = grant.lack(resource_type, letter)
    context = grant.scopes[0].context if grant.scopes else Context.PATIENT
    scope = f"{context}/{resource_type}.{letter}" if reason is Reason.SCOPE_INSUFFICIENT else ""
    return Deny(reason, offender=resource_type, scope=scope)


def _decide_read(read: Read, grant: Grant) -> Decision:
    permission = grant.read(read.resource_type)
    if not permission:
        return _lacking(grant, read.resource_type, Letter.READ)
    reference = Reference(read.resource_type, read.id)
    path = f"/{read.resource_type}/{read.id}"
    if read.resource_type == "Binary":
        # Never `_summary` or `_elements`: a Binary leaves as the bytes it holds.
        return Allow(Send(path), Relay() if grant.unlimited else KeepBinary(permission, reference, grant))
    if grant.unlimited:
        return Allow(Send(path, read.query.encode()), Relay())
    query = _readable_query(read.query, permission)
    if query is None:
        return Deny(Reason.COUNT_NOT_EXACT, offender="_summary")
    return Allow(Send(path, query.encode()), KeepResource(permission, reference, grant))


def _decide_vread(vread: VRead, grant: Grant) -> Decision:
    permission = grant.read(vread.resource_type)
    if not permission:
        return _lacking(grant, vread.resource_type, Letter.READ)
    query = vread.query if grant.unlimited else _readable_query(vread.query, permission)
    if query is None:
        return Deny(Reason.COUNT_NOT_EXACT, offender="_summary")
    current = Reference(vread.resource_type, vread.id)
    send = Send(f"/{current}/_history/{vread.version_id}", query.encode())
    if grant.unlimited:
        return Allow(send, Relay())
    return Allow(send, KeepResource(permission, current, grant), current=current)


def _readable_query(query: Query, permission: Permission) -> Query | None:
    """The query of a read with what verification needs; None for a count, which a read does not have.

    `_summary` is not passed on: what it leaves out may be what the check looks at (leak_29). FHIR calls it a hint,
    so the whole resource is a right answer. `_elements` is one too, and is widened or left out.
    """
    if query.summary is Summary.COUNT:
        return None
    if not query.elements and query.summary is None:
        return query
    return replace(query, summary=None, elements=_widened(query.elements, permission))


def _widened(asked: tuple[str, ...], permission: Permission) -> tuple[str, ...]:
    """The elements to ask for with those that verification needs; none where some criterion has to hold.

    A criterion may hold by absence (`deceased=false`), and what the server takes `_elements` to name is its own reading
    (`deceased`, by R4, where its JSON has `deceasedBoolean`). Membership never holds by absence.
    """
    if not asked or _is_constrained(permission):
        return ()
    needed = permission.elements
    return (*asked, *sorted(needed.difference(asked, {"resourceType", "contained"})), *_contained(needed, asked))


def _is_constrained(permission: Permission) -> bool:
    return not permission.unlimited and any(unit.criteria for unit in permission.units)


def _contained(needed: frozenset[str], asked: tuple[str, ...]) -> tuple[str, ...]:
    return ("contained",) if "contained" in needed and "contained" not in asked else ()


def _decide_instance_history(history: InstanceHistory, grant: Grant) -> Decision:
    if not grant.read(history.resource_type):
        return _lacking(grant, history.resource_type, Letter.READ)
    current = Reference(history.resource_type, history.id)
    send = Send(f"/{current}/_history", _unabridged(history.query).encode())
    keep = KeepVersions(grant, current, history.resource_type)
    return Allow(send, keep, current=None if grant.unlimited else current)


def _decide_type_history(history: TypeHistory, grant: Grant) -> Decision:
    if not grant.find(history.resource_type):
        return _lacking(grant, history.resource_type, Letter.SEARCH)
    send = Send(f"/{history.resource_type}/_history", _unabridged(history.query).encode())
    return Allow(send, KeepVersions(grant, None, history.resource_type))


def _decide_system_history(history: SystemHistory, grant: Grant) -> Decision:
    types, left_out = _searchable(history.query.types, grant, grant.find)
    if not types and not grant.unlimited:
        return _no_type_left(history.query.types, grant)
    query = replace(_unabridged(history.query), types=types)
    return Allow(Send("/_history", query.encode()), KeepVersions(grant, None, None), left_out=left_out)


def _unabridged(query: Query) -> Query:
    """A history without `_summary`, `_elements` and `_total`: every version is judged whole, none is counted."""
    return replace(query, summary=None, elements=(), total=None)


def _searchable(
    asked: tuple[str, ...], grant: Grant, permission: Callable[[str], Permission]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the types asked for (none: all), those within reach, and a note for each that is left out."""
    if grant.unlimited:
        return asked, ()
    if not asked:
        return tuple(sorted(grant.searchable_types)), ()
    within = tuple(name for name in asked if permission(name))
    return within, tuple(f"_type={name}" for name in asked if name not in within)


def _no_type_left(asked: tuple[str, ...], grant: Grant) -> Deny:
    return _lacking(grant, asked[0], Letter.SEARCH) if asked else Deny(Reason.SCOPE_INSUFFICIENT)


def _decide_type_search(search: TypeSearch, grant: Grant) -> Decision:
    ids = _named_ids(search.query)
    permission = grant.find(search.resource_type) if ids is None else grant.search(search.resource_type)
    if not permission:
        if grant.search(search.resource_type):
            return Deny(Reason.SEARCH_BY_ID_ONLY, offender=search.resource_type)
        return _lacking(grant, search.resource_type, Letter.SEARCH)
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
    # Some servers abridge what is included as well, which other permissions judge.
    abridged = not query.includes or not any(scope.constraints for scope in grant.scopes)
    elements = _widened(query.elements, permission) if abridged else ()
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


def _decide_compartment_search(search: CompartmentSearch, grant: Grant) -> Decision:
    """Resolved to (compartment, type, query): not every server searches compartments (hapi.md)."""
    if search.resource_type == ALL_TYPES:
        return _decide_whole_compartment(search, grant)
    name = owner_parameter(search.compartment_type, search.resource_type, grant.rules)
    if name is None:
        return Deny(Reason.TYPE_OUT_OF_REACH, offender=f"{search.compartment_type}/{search.resource_type}")
    value = search.compartment_id if name == "_id" else f"{search.compartment_type}/{search.compartment_id}"
    owner = Filter(Key((Hop(name),)), value)
    query = replace(search.query, filters=(owner, *search.query.filters))
    return _decide_type_search(TypeSearch(search.resource_type, query), grant)


def _decide_whole_compartment(search: CompartmentSearch, grant: Grant) -> Decision:
    if not grant.rules.compartment_search:
        return Deny(Reason.INTERACTION_NOT_SUPPORTED, offender=f"{search.compartment_type}/{search.compartment_id}/*")
    decision = _decide_system_search(SystemSearch(search.query), grant)
    if not isinstance(decision, Allow):
        return decision
    path = f"/{search.compartment_type}/{search.compartment_id}/*"
    return replace(decision, send=replace(decision.send, path=path))


def _decide_system_search(search: SystemSearch, grant: Grant) -> Decision:
    types, left_out = _searchable(search.query.types, grant, grant.find)
    if not types and not grant.unlimited:
        return _no_type_left(search.query.types, grant)
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
