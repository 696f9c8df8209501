"""Lock one: the decision, a pure and total function of the interaction and the grant (enforcement.md 1, 4)."""

from dataclasses import replace
from typing import assert_never

from gateway.fhir.interaction import (
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
from gateway.fhir.query import Query, Summary
from gateway.fhir.reference import Reference
from gateway.policy.decide_search import decide_compartment_search, decide_system_search, decide_type_search
from gateway.policy.decision import (
    MAX_VERSIONS,
    Allow,
    Decision,
    Deny,
    KeepBinary,
    KeepCapabilities,
    KeepResource,
    KeepVersions,
    Need,
    Relay,
    Send,
)
from gateway.policy.elements import widened
from gateway.policy.grant import Grant
from gateway.policy.judge_bundle import hides_nothing
from gateway.policy.lacking import lacking, no_type_left, types_to_search
from gateway.policy.permission import Permission
from gateway.policy.reasons import Reason
from gateway.scopes.model import Letter


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
            return decide_type_search(interaction, grant)
        case CompartmentSearch():
            return decide_compartment_search(interaction, grant)
        case SystemSearch():
            return decide_system_search(interaction, grant)
        case Page():
            return Deny(Reason.PAGE_UNKNOWN)
        case Write() | BundlePost():
            return Deny(Reason.INTERACTION_NOT_SUPPORTED)
        case Operation():
            return Deny(Reason.OPERATION_NOT_ALLOWED, offender=f"${interaction.name}")
    assert_never(interaction)


def _decide_read(read: Read, grant: Grant) -> Decision:
    permission = grant.read(read.resource_type)
    if not permission:
        return lacking(grant, read.resource_type, Letter.READ)
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
        return lacking(grant, vread.resource_type, Letter.READ)
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
    return replace(query, summary=None, elements=widened(query.elements, permission))


def _decide_instance_history(history: InstanceHistory, grant: Grant) -> Decision:
    if not grant.read(history.resource_type):
        return lacking(grant, history.resource_type, Letter.READ)
    current = Reference(history.resource_type, history.id)
    send = Send(f"/{current}/_history", _unabridged(history.query).encode())
    keep = KeepVersions(grant, current, history.resource_type)
    return Allow(send, keep, current=None if grant.unlimited else current)


def _decide_type_history(history: TypeHistory, grant: Grant) -> Decision:
    if not grant.find(history.resource_type):
        return lacking(grant, history.resource_type, Letter.SEARCH)
    keep = KeepVersions(grant, None, history.resource_type)
    return Allow(Send(f"/{history.resource_type}/_history", _in_short_pages(history.query, keep).encode()), keep)


def _decide_system_history(history: SystemHistory, grant: Grant) -> Decision:
    types, left_out = types_to_search(history.query.types, grant)
    if not types and not grant.unlimited:
        return no_type_left(history.query.types, grant)
    keep = KeepVersions(grant, None, None)
    query = replace(_in_short_pages(history.query, keep), types=types)
    return Allow(Send("/_history", query.encode()), keep, left_out=left_out)


def _unabridged(query: Query) -> Query:
    """A history without `_summary`, `_elements` and `_total`: every version is judged whole, none is counted."""
    return replace(query, summary=None, elements=(), total=None)


def _in_short_pages(query: Query, keep: KeepVersions) -> Query:
    """The same in pages of no more versions than are looked up as they stand now, lest the rest be lost."""
    if not hides_nothing(keep):
        query = replace(query, count=MAX_VERSIONS if query.count is None else min(query.count, MAX_VERSIONS))
    return _unabridged(query)
