"""Lock one, decide: a pure and total function from interaction and grant to a decision (enforcement.md 1, 4).

This is the only place that lets an interaction through; searches continue in decide_search.py.
"""

from dataclasses import replace
from typing import assert_never

from gateway.fhir.reference import Reference
from gateway.fhir.request.interaction import (
    BatchOrTransaction,
    Capabilities,
    CompartmentSearch,
    ExportCancel,
    ExportFile,
    ExportKickoff,
    ExportStatus,
    InstanceHistory,
    Interaction,
    Operation,
    PagingLink,
    Read,
    SystemHistory,
    SystemSearch,
    TypeHistory,
    TypeSearch,
    VRead,
    Write,
)
from gateway.fhir.search.query import Query, SummaryMode
from gateway.policy.decision.decide_export import decide_export
from gateway.policy.decision.decide_operation import decide_operation
from gateway.policy.decision.decide_search import decide_compartment_search, decide_system_search, decide_type_search
from gateway.policy.decision.decide_write import decide_write
from gateway.policy.decision.elements import widen_elements
from gateway.policy.decision.missing_scope import deny_all_types, deny_missing_scope, select_types
from gateway.policy.decision_types import (
    MAX_BINARY_VERSIONS,
    MAX_HISTORY_PAGE,
    Allow,
    AllowBundle,
    BinaryFilter,
    CapabilityStatementFilter,
    Decision,
    Deny,
    HistoryFilter,
    NeedUserCompartments,
    PassThrough,
    ResourceFilter,
    UpstreamRequest,
)
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.permission import Permission
from gateway.policy.reasons import Reason
from gateway.scopes.model import Letter


def decide(interaction: Interaction, grant: Grant) -> Decision:
    """Decide on a request.

    The decision is `NeedUserCompartments` if the compartments of the user have to be looked up first.
    """
    if isinstance(interaction, Capabilities):
        return Allow(UpstreamRequest("/metadata"), CapabilityStatementFilter())
    if grant.unresolved_reach is not None:
        return NeedUserCompartments(grant.unresolved_reach)
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
        case PagingLink():
            return Deny(Reason.PAGE_UNKNOWN)
        case ExportKickoff():
            return decide_export(interaction, grant)
        case ExportStatus() | ExportCancel() | ExportFile():
            return Deny(Reason.EXPORT_UNKNOWN)
        case Write():
            return decide_write(interaction, grant)
        case BatchOrTransaction(kind, entries):
            return AllowBundle(kind, entries)
        case Operation():
            return decide_operation(interaction, grant)
    assert_never(interaction)


def _decide_read(read: Read, grant: Grant) -> Decision:
    permission = grant.read_permission(read.resource_type)
    if not permission:
        return deny_missing_scope(grant, read.resource_type, Letter.READ)
    reference = Reference(read.resource_type, read.id)
    path = f"/{read.resource_type}/{read.id}"
    if read.resource_type == "Binary":
        return _read_binary(reference, permission, grant)
    if grant.reads_everything:
        return Allow(UpstreamRequest(path, read.query.encode()), PassThrough())
    query = _adapt_read_query(read.query, permission)
    if query is None:
        return Deny(Reason.COUNT_NOT_EXACT, offender="_summary")
    return Allow(UpstreamRequest(path, query.encode()), ResourceFilter(permission, reference, grant))


def _read_binary(reference: Reference, permission: Permission, grant: Grant) -> Allow:
    """The query is not sent: `_summary` and `_elements` would change the bytes of the Binary."""
    binary_filter = PassThrough() if grant.reads_everything else BinaryFilter(permission, reference, grant)
    return Allow(UpstreamRequest(f"/{reference}"), binary_filter)


def _decide_vread(vread: VRead, grant: Grant) -> Decision:
    permission = grant.read_permission(vread.resource_type)
    if not permission:
        return deny_missing_scope(grant, vread.resource_type, Letter.READ)
    version = Reference(vread.resource_type, vread.id, vread.version_id)
    if vread.resource_type == "Binary":
        return _read_binary(version, permission, grant)
    query = vread.query if grant.reads_everything else _adapt_read_query(vread.query, permission)
    if query is None:
        return Deny(Reason.COUNT_NOT_EXACT, offender="_summary")
    request = UpstreamRequest(f"/{version}", query.encode())
    if grant.reads_everything:
        return Allow(request, PassThrough())
    current = Reference(vread.resource_type, vread.id)
    return Allow(request, ResourceFilter(permission, version, grant), prerequisite=current)


def _adapt_read_query(query: Query, permission: Permission) -> Query | None:
    """The query of a read with everything that the judge needs; None for a count, which a read does not have.

    `_summary` is left out, because it may remove what the judge looks at (leak_29). In FHIR it is a hint, so that the
    complete resource is a correct response. `_elements` is a hint, too; it is widened or left out.
    """
    if query.summary is SummaryMode.COUNT:
        return None
    if not query.elements and query.summary is None:
        return query
    return replace(query, summary=None, elements=widen_elements(query.elements, permission))


def _decide_instance_history(history: InstanceHistory, grant: Grant) -> Decision:
    if not grant.read_permission(history.resource_type):
        return deny_missing_scope(grant, history.resource_type, Letter.READ)
    reference = Reference(history.resource_type, history.id)
    query = _request_whole_versions(history.query)
    if history.resource_type == "Binary" and not grant.reads_everything:
        query = replace(query, count=min(query.count or MAX_BINARY_VERSIONS, MAX_BINARY_VERSIONS))
    request = UpstreamRequest(f"/{reference}/_history", query.encode())
    history_filter = HistoryFilter(grant, reference, history.resource_type)
    return Allow(request, history_filter, prerequisite=None if grant.reads_everything else reference)


def _decide_type_history(history: TypeHistory, grant: Grant) -> Decision:
    if not grant.search_permission(history.resource_type):
        return deny_missing_scope(grant, history.resource_type, Letter.SEARCH)
    history_filter = HistoryFilter(grant, None, history.resource_type)
    return Allow(
        UpstreamRequest(
            f"/{history.resource_type}/_history", _limit_history_page(history.query, history_filter).encode()
        ),
        history_filter,
    )


def _decide_system_history(history: SystemHistory, grant: Grant) -> Decision:
    types, omitted_types = select_types(history.query.types, grant)
    if not types and not grant.reads_everything:
        return deny_all_types(history.query.types, grant)
    history_filter = HistoryFilter(grant, None, None)
    query = replace(_limit_history_page(history.query, history_filter), types=types)
    return Allow(UpstreamRequest("/_history", query.encode()), history_filter, omitted_parameters=omitted_types)


def _request_whole_versions(query: Query) -> Query:
    """The query without `_summary`, `_elements` and `_total`: complete versions are judged, and none are counted."""
    return replace(query, summary=None, elements=(), total=None)


def _limit_history_page(query: Query, history_filter: HistoryFilter) -> Query:
    """The query for complete versions, in pages of at most `MAX_HISTORY_PAGE` entries if they have to be judged.

    The current version of every entry is looked up, up to that number. Longer pages would lose the remaining entries.
    """
    if not history_filter.permits_all_results:
        query = replace(query, count=MAX_HISTORY_PAGE if query.count is None else min(query.count, MAX_HISTORY_PAGE))
    return _request_whole_versions(query)
