"""Lock three for a page of a search or a history: every entry is judged by itself.

Nothing here trusts the FHIR server: not its `search.mode`, not its `fullUrl`, and not that the response fits the
request.
"""

from collections.abc import Sequence

from gateway.fhir.resources.bundle import Bundle, BundleEntry, EntrySearch
from gateway.fhir.resources.resource import (
    MalformedResourceError,
    Members,
    decode_members,
    is_operation_outcome,
    open_resource,
    read_id,
    read_type_and_id,
)
from gateway.policy.decision_types import HistoryFilter, SearchFilter
from gateway.policy.judgement.compartment_members import is_in_compartment
from gateway.policy.judgement.judge_history import judge_history_entry
from gateway.policy.judgement.judge_operation_answer import judge_operation_entry
from gateway.policy.judgement.judge_resource import is_cached_as_permitted, is_withheld, judge_resource
from gateway.policy.judgement.omissions import encode_omissions
from gateway.policy.judgement.verdict import UNREADABLE, Verdict
from gateway.policy.operation_filter import OperationFilter
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.permission import Permission

_MATCH, _INCLUDE, _OUTCOME = EntrySearch("match"), EntrySearch("include"), EntrySearch("outcome")


def judge_bundle(bundle: Bundle, response_filter: SearchFilter | HistoryFilter | OperationFilter) -> Verdict:
    """Judge every entry of a searchset, a history or an operation's answer.

    Sets `fullUrl` and `search` of the entries that are kept.

    An entry whose deciding elements cannot be read is dropped and counted as `unreadable`; the other entries stay.
    """
    verdict = Verdict()
    match_permission = _cacheable_match_permission(response_filter)
    for entry in bundle.entry:
        if match_permission is not None and _accept_cached_match(entry, match_permission, response_filter.grant):
            verdict.kept_entries.append(entry)
            continue
        try:
            if isinstance(response_filter, SearchFilter):
                _judge_search_entry(entry, response_filter, verdict)
            elif isinstance(response_filter, HistoryFilter):
                judge_history_entry(entry, response_filter, verdict)
            else:
                judge_operation_entry(entry, response_filter, verdict)
        except MalformedResourceError:
            verdict.record_drop(UNREADABLE)
    return verdict


def _cacheable_match_permission(response_filter: SearchFilter | HistoryFilter | OperationFilter) -> Permission | None:
    """The permission whose cache alone can accept a match; None if there are several or a match must satisfy more."""
    if not isinstance(response_filter, SearchFilter) or response_filter.has_conditions:
        return None
    return response_filter.match_permission if response_filter.named_ids is None else None


def _accept_cached_match(entry: BundleEntry, permission: Permission, grant: Grant) -> bool:
    """Whether the cache permits the entry as a match. If so, its `fullUrl` and `search` are set."""
    members, search = entry.resource, entry.search
    if members is None or (search is not None and search.mode != "match"):
        return False
    if not is_cached_as_permitted(members, permission):
        return False
    resource_id = read_id(members)
    if resource_id is None:
        return False
    entry.fullUrl = f"{grant.rules.public_base}/{permission.resource_type}/{resource_id}"
    entry.search = _MATCH
    entry.request = entry.response = None
    return True


def _judge_search_entry(entry: BundleEntry, search_filter: SearchFilter, verdict: Verdict) -> None:
    members = entry.resource
    type_and_id = read_type_and_id(members) if members is not None else None
    if members is None or type_and_id is None:
        if members is None or not is_operation_outcome(members):
            verdict.record_drop(UNREADABLE)
        return
    resource_type, resource_id = type_and_id
    mode = entry.search.mode if entry.search is not None else None
    if mode == "outcome" or resource_type == "OperationOutcome":
        # Its text may quote hidden data (leak_28). `omissions_entry` says what the gateway left out of the request.
        return
    grant, permission = search_filter.grant, search_filter.match_permission
    if permission is None:
        permission = grant.search_permission(resource_type)
        if search_filter.searched_types is not None and resource_type not in search_filter.searched_types:
            mode = "include"
    if mode == "include" or permission.resource_type != resource_type:
        permission, entry.search = grant.read_or_search_permission(resource_type), _INCLUDE
    elif not _is_what_was_searched(members, resource_type, resource_id, search_filter):
        verdict.record_drop(resource_type)
        return
    else:
        entry.search = _MATCH
    judgement = judge_resource(members, permission, grant)
    if judgement is False:
        if is_withheld(members, permission):
            verdict.record_withheld(resource_type)
        verdict.record_drop(resource_type, is_include=mode == "include")
        return
    entry.fullUrl = f"{grant.rules.public_base}/{resource_type}/{resource_id}"
    entry.request = entry.response = None
    verdict.has_includes = verdict.has_includes or entry.search is _INCLUDE
    verdict.record_judgement(entry, judgement, resource_type)


def _is_what_was_searched(members: Members, resource_type: str, resource_id: str, search_filter: SearchFilter) -> bool:
    """Whether a match is what the client searched for, as far as the FHIR server is not trusted or asked to tell."""
    if search_filter.named_ids is not None and resource_id not in search_filter.named_ids:
        return False
    if not all(criterion.matches(decode_members(members, criterion.elements)) for criterion in search_filter.criteria):
        return False
    compartment = search_filter.compartment
    return compartment is None or is_in_compartment(members, resource_type, compartment, search_filter.grant.rules)


def omissions_entry(omitted_parameters: Sequence[str]) -> BundleEntry:
    """The entry that says which parameters the gateway left out of the request: nothing they add could be shown."""
    return BundleEntry(resource=open_resource(encode_omissions(omitted_parameters)), search=_OUTCOME)
