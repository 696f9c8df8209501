"""Lock three for the answer of an operation: a Bundle, Parameters or a resource, with whatever is nested in them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.fhir.resources.bundle import BundleEntry, EntrySearch, read_bundle, write_bundle
from gateway.fhir.resources.parameters import Parameter, read_parameters, write_parameters
from gateway.fhir.resources.resource import (
    MalformedResourceError,
    Members,
    decode_member,
    is_operation_outcome,
    iter_nested_resources,
    read_id,
    read_resource,
    read_type,
)
from gateway.policy.judgement.judge_resource import Judgement, is_withheld, judge_resource
from gateway.policy.judgement.nested_resources import has_only_visible_nested, has_untyped_nested
from gateway.policy.judgement.provenance_targets import ProvenanceTargets
from gateway.policy.judgement.verdict import UNREADABLE, Verdict
from gateway.policy.operation_filter import OperationFilter
from gateway.policy.permission.operation_rule import JudgedAnswer

_ENVELOPES = frozenset({"Parameters", "OperationOutcome"})
# Values of Bundle.type whose entries stand by themselves. A document or a message is a whole.
_BUNDLE_TYPES = frozenset({"searchset", "collection", "history", "batch-response"})
_MAX_DEPTH = 8


def judge_by_letters(members: Members, resource_type: str, operation_filter: OperationFilter) -> Judgement:
    """Whether the resource is permitted by each letter of the filter, and is of a type that may come."""
    grant, answer = operation_filter.grant, operation_filter.answer
    types = answer.types if isinstance(answer, JudgedAnswer) else None
    if any(known is not None and resource_type not in known for known in (types, operation_filter.types)):
        return False
    if not operation_filter.letters:
        return judge_resource(members, grant.read_or_search_permission(resource_type), grant)
    judgement: Judgement = True
    for letter in operation_filter.letters:
        one = judge_resource(members, grant.permission_for(resource_type, letter), grant)
        judgement = _combine(judgement, one)
    return judgement


def _combine(first: Judgement, second: Judgement) -> Judgement:
    """Both judgements together. Where both depend on targets, what counts are the targets of both."""
    if first is True or second is False:
        return second
    if first is False or second is True:
        return first
    references = tuple(reference for reference in first.references if reference in second.references)
    compartments = first.compartments & second.compartments
    return ProvenanceTargets(references, compartments) if references and compartments else False


def judge_operation_entry(entry: BundleEntry, operation_filter: OperationFilter, verdict: Verdict) -> None:
    """Judge one entry of a Bundle and record it in `verdict`. Raises `MalformedResourceError`."""
    members = entry.resource
    resource_type = read_type(members) if members is not None else None
    if members is None or resource_type is None:
        verdict.record_drop(UNREADABLE)
        return
    if is_operation_outcome(members):
        # Its text may quote hidden data (leak_28).
        return
    resource_id = read_id(members)
    judgement = judge_by_letters(members, resource_type, operation_filter)
    public_base = operation_filter.grant.rules.public_base
    entry.fullUrl = None if resource_id is None else f"{public_base}/{resource_type}/{resource_id}"
    entry.search = EntrySearch("match")
    entry.request = entry.response = None
    if judgement is False and is_withheld(members, operation_filter.grant.read_or_search_permission(resource_type)):
        verdict.record_withheld(resource_type)
    verdict.record_judgement(entry, judgement, resource_type)


def judge_parameters(body: bytes, operation_filter: OperationFilter) -> tuple[bytes, Verdict]:
    """Parameters with the resources that are permitted, and the counts of the others.

    Values are left out, because nothing says whose they are. A Bundle or Parameters in a parameter is an envelope like
    the answer itself. Raises `MalformedResourceError`.
    """
    verdict = Verdict()
    kept = _keep_parameters(read_parameters(body), operation_filter, verdict, _MAX_DEPTH)
    return write_parameters(kept), verdict


def _keep_parameters(
    parameters: list[Parameter], operation_filter: OperationFilter, verdict: Verdict, depth: int
) -> list[Parameter]:
    kept, answer = [], operation_filter.answer
    known = answer.parameters if isinstance(answer, JudgedAnswer) else frozenset[str]()
    for parameter in parameters if depth else ():
        resource = parameter.resource
        if bytes(resource):
            resource = _keep_resource(resource, operation_filter, verdict, depth)
        part = _keep_parameters(parameter.part, operation_filter, verdict, depth - 1)
        if bytes(resource) or part:
            name = parameter.name if parameter.name in known else ""
            kept.append(Parameter(name, resource, part))
    return kept


def _keep_resource(raw: msgspec.Raw, operation_filter: OperationFilter, verdict: Verdict, depth: int) -> msgspec.Raw:
    """The resource of a parameter, or what remains of it; nothing if it is dropped."""
    members, text = read_resource(raw)
    resource_type = read_type(members)
    if resource_type == "Parameters":
        nested = _keep_parameters(read_parameters(text), operation_filter, verdict, depth - 1)
        return msgspec.Raw(write_parameters(nested))
    if resource_type == "Bundle":
        return msgspec.Raw(_keep_entries(text, operation_filter, verdict))
    if resource_type is None or judge_by_letters(members, resource_type, operation_filter) is not True:
        verdict.record_drop(resource_type or UNREADABLE)
        return msgspec.Raw()
    verdict.kept_entries.append(BundleEntry(resource=members))
    return msgspec.Raw(text)


def _keep_entries(text: bytes, operation_filter: OperationFilter, verdict: Verdict) -> bytes:
    """The Bundle with the entries that are permitted. A Provenance that depends on others is not: none is fetched."""
    bundle = read_bundle(text)
    judged = Verdict()
    for entry in bundle.entry:
        try:
            judge_operation_entry(entry, operation_filter, judged)
        except MalformedResourceError:
            judged.record_drop(UNREADABLE)
    for _ in judged.pending_provenances:
        judged.record_drop("Provenance")
    verdict.add_drop_counts(judged)
    entries = [entry for entry in judged.kept_entries if entry is not None]
    verdict.kept_entries.extend(entries)
    return write_bundle(bundle.type if bundle.type in _BUNDLE_TYPES else "collection", links=(), entries=entries)


def is_whole_visible(members: Members, operation_filter: OperationFilter) -> Judgement:
    """Whether a resource may be seen with everything in it. Raises `MalformedResourceError`.

    A Bundle is an envelope here: what it holds is judged, as far as it states its type.
    """
    if operation_filter.grant.reads_everything:
        return True
    resource_type = read_type(members)
    if resource_type == "Bundle":
        return has_only_visible_nested(members, operation_filter.grant)
    return resource_type is not None and judge_by_letters(members, resource_type, operation_filter)


def holds_only_types(members: Members, types: frozenset[str]) -> bool:
    """Whether an answer is Parameters, an OperationOutcome or one of `types`, and so is each resource within.

    Raises `MalformedResourceError`.
    """
    allowed = types | _ENVELOPES
    root = {name: decode_member(raw) for name, raw in members.items()}
    resources = [root, *iter_nested_resources(root)]
    return all(
        resource.get("resourceType") in allowed
        and not has_untyped_nested(resource)
        and _holds_typed_contained(resource)
        for resource in resources
    )


def _holds_typed_contained(resource: Mapping[str, Any]) -> bool:
    contained = resource.get("contained", [])
    return isinstance(contained, list) and all(isinstance(one, dict) and "resourceType" in one for one in contained)
