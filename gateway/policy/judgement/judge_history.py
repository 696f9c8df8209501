"""Lock three for one entry of a history Bundle: a version of a resource, or the record of its deletion."""

import re

from gateway.fhir.reference import Reference, parse_reference
from gateway.fhir.resources.bundle import BundleEntry, EntryRequest, EntryResponse
from gateway.fhir.resources.resource import read_type_and_id
from gateway.fhir.resources.version import ResourceVersion, read_version
from gateway.policy.decision_types import HistoryFilter
from gateway.policy.judgement.judge_resource import is_withheld, judge_resource
from gateway.policy.judgement.verdict import UNREADABLE, Verdict
from gateway.policy.permission.grant import Grant

_HISTORY_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_STATUS_PATTERN = re.compile(r"[1-5]\d\d")


def judge_history_entry(entry: BundleEntry, history_filter: HistoryFilter, verdict: Verdict) -> None:
    """Judge one entry and record it in `verdict`. Raises `MalformedResourceError`."""
    members = entry.resource
    if members is None:
        _judge_deletion(entry, history_filter, verdict)
        return
    type_and_id = read_type_and_id(members)
    reference = Reference(*type_and_id) if type_and_id is not None else None
    if reference is None or not _is_in_history(reference, history_filter):
        verdict.record_drop(UNREADABLE if reference is None else reference.resource_type)
        return
    grant = history_filter.grant
    permission_for = grant.search_permission if history_filter.instance is None else grant.read_permission
    method = entry.request.method if entry.request is not None else "PUT"
    _set_version_members(entry, reference, method if method in _HISTORY_METHODS else "PUT", grant)
    entry.response = _build_response(entry.response, read_version(members))
    permission = permission_for(reference.resource_type)
    judgement = judge_resource(members, permission, grant)
    if judgement is False and is_withheld(members, permission):
        verdict.record_withheld(reference.resource_type)
    if judgement is False and history_filter.instance is not None and permission.vouching_compartments:
        verdict.add_pending_binary(entry)
    else:
        verdict.record_judgement(entry, judgement, reference.resource_type)


def _is_in_history(reference: Reference, history_filter: HistoryFilter) -> bool:
    if history_filter.instance is not None:
        return reference == history_filter.instance
    return history_filter.resource_type is None or reference.resource_type == history_filter.resource_type


def _judge_deletion(entry: BundleEntry, history_filter: HistoryFilter, verdict: Verdict) -> None:
    """Judge an entry without a resource, which says only that a resource was deleted (enforcement.md 8)."""
    reference = history_filter.instance or _parse_full_url(entry, history_filter.grant)
    if reference is None or not _is_deletion_visible(reference, history_filter):
        verdict.record_drop(UNREADABLE if reference is None else reference.resource_type)
        return
    _set_version_members(entry, reference, "DELETE", history_filter.grant)
    # Nothing that is verified says when, and as which version.
    entry.response = _build_response(entry.response, ResourceVersion())
    verdict.record_judgement(entry, True, reference.resource_type)


def _is_deletion_visible(reference: Reference, history_filter: HistoryFilter) -> bool:
    if history_filter.instance is not None:
        return True
    grant = history_filter.grant
    return _is_in_history(reference, history_filter) and (
        grant.reads_everything or grant.search_permission(reference.resource_type).covers_whole_type
    )


def _parse_full_url(entry: BundleEntry, grant: Grant) -> Reference | None:
    reference = parse_reference(entry.fullUrl or "", grant.rules.bases)
    return None if reference is None else Reference(reference.resource_type, reference.id)


def _set_version_members(entry: BundleEntry, reference: Reference, method: str, grant: Grant) -> None:
    entry.fullUrl = f"{grant.rules.public_base}/{reference}"
    entry.search = None
    entry.request = EntryRequest(method, str(reference))


def _build_response(response: EntryResponse | None, version: ResourceVersion) -> EntryResponse:
    """The server's status code, and the version as the resource itself states it (enforcement.md 8)."""
    status = _STATUS_PATTERN.match(response.status or "") if response is not None else None
    return EntryResponse(status=status[0] if status else "200", etag=version.etag, lastModified=version.last_updated)
