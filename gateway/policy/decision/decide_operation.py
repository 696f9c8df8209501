"""Lock one for operations: the manifest says which are let through, what they need, and how their answer is held."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.fhir.reference import Reference
from gateway.fhir.request.interaction import Operation
from gateway.fhir.search.query import encode_pairs
from gateway.policy.decision.decide_write import WRITE_LETTERS
from gateway.policy.decision.missing_scope import deny_missing_scope
from gateway.policy.decision_types import (
    Allow,
    Decision,
    Deny,
    MetaFilter,
    ResourceFilter,
    UpstreamRequest,
)
from gateway.policy.operation_filter import OperationFilter, SentReferences
from gateway.policy.operations.operation_input import OperationValue, read_operation_input
from gateway.policy.operations.operation_resources import judge_resources
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.membership import compartment_membership
from gateway.policy.permission.operation_rule import (
    JudgedAnswer,
    MetaAnswer,
    OperationRule,
    ParameterType,
    TerminologyAnswer,
    find_operation_rule,
)
from gateway.policy.permission.permission import Permission
from gateway.policy.permission.reach import Everything
from gateway.policy.permission.rules import WriteRules
from gateway.policy.permission.unit import CompartmentExtent, FhirUserExtent
from gateway.policy.reasons import Reason
from gateway.scopes.model import Letter
from gateway.scopes.resource_types import RESOURCE_TYPES

# A longer query is sent as Parameters, because common servers refuse request lines of 8 KB.
_MAX_QUERY_LENGTH = 4096
_JUDGED_LETTERS = frozenset({Letter.READ, Letter.SEARCH})


def decide_operation(operation: Operation, grant: Grant) -> Decision:
    """Decide on an operation by its rule. What the manifest does not list is refused."""
    rule = find_operation_rule(operation, grant.rules.operations)
    if rule is None or not rule.is_enabled:
        return Deny(Reason.OPERATION_NOT_ALLOWED, offender=f"${operation.name}")
    if operation.method not in rule.methods:
        return Deny(Reason.METHOD_NOT_ALLOWED, offender=operation.method, allowed_methods=rule.methods)
    refusal = _refuse_missing_letters(operation, rule, grant)
    if refusal is not None:
        return refusal
    values = read_operation_input(operation, rule, grant.rules.bases)
    if isinstance(values, Deny):
        return values
    limited = _limit_patients(values, operation, rule, grant)
    if isinstance(limited, Deny):
        return limited
    sent_references = judge_resources(limited, operation, rule, grant)
    if isinstance(sent_references, Deny):
        return sent_references
    return _allow(operation, rule, limited, sent_references, grant)


def needed_permissions(
    operation: Operation, rule: OperationRule, grant: Grant
) -> Iterator[tuple[str, Letter, Permission]]:
    """Each type and letter that the operation needs, with what the token may do with it."""
    for need in rule.needs:
        resource_type = need.resource_type or operation.resource_type
        if resource_type is not None:
            yield resource_type, need.letter, grant.permission_for(resource_type, need.letter)


def _refuse_missing_letters(operation: Operation, rule: OperationRule, grant: Grant) -> Deny | None:
    """The refusal of a token that lacks a letter, or that has it only within limits which nothing can check.

    What an operation changes is not known beforehand, and a terminology says nothing of the constraints of a scope.
    """
    if rule.affects_state and (refusal := _refuse_change(operation, rule, grant.rules.writes)) is not None:
        return refusal
    for resource_type, letter, permission in needed_permissions(operation, rule, grant):
        if not permission:
            return deny_missing_scope(grant, resource_type, letter)
        if rule.affects_state and not permission.covers_whole_type:
            return Deny(Reason.SCOPE_INSUFFICIENT, resource_type, required_scope=f"system/{resource_type}.{letter}")
        if isinstance(rule.answer, TerminologyAnswer) and not _has_unlimited_unit(permission):
            return Deny(Reason.SCOPE_INSUFFICIENT, resource_type, required_scope=f"user/{resource_type}.{letter}")
        if isinstance(rule.answer, TerminologyAnswer) and permission.has_record_rules and not rule.despite_record_rules:
            return Deny(Reason.OPERATION_NOT_ALLOWED, offender=f"${operation.name}")
    return None


def _refuse_change(operation: Operation, rule: OperationRule, writes: WriteRules) -> Deny | None:
    """The refusal of an operation that changes what the operator excludes from all writes."""
    if not writes.allow:
        return Deny(Reason.WRITES_OFF)
    names = {operation.resource_type, f"{operation.resource_type}/{operation.id}"}
    names |= {need.resource_type for need in rule.needs if need.letter in WRITE_LETTERS.values()}
    if writes.never.isdisjoint(names):
        return None
    return Deny(Reason.WRITE_FORBIDDEN, offender=operation.resource_type or f"${operation.name}")


def _has_unlimited_unit(permission: Permission) -> bool:
    return any(not unit.criteria and not isinstance(unit.extent, FhirUserExtent) for unit in permission.units)


def _limit_patients(
    values: tuple[OperationValue, ...], operation: Operation, rule: OperationRule, grant: Grant
) -> tuple[OperationValue, ...] | Deny:
    """The values with a patient whom the token reaches, if the operation takes one.

    Whoever reaches a single patient need not name them.
    """
    parameter = next((one for one in rule.parameters.values() if one.type is ParameterType.PATIENT), None)
    if parameter is None:
        return values
    reached = _find_reached_patients(operation, rule, grant)
    named = {value.text.removeprefix("Patient/") for value in values if value.parameter is parameter}
    if reached is None or (named and named <= reached):
        return values
    if named:
        return Deny(Reason.OUT_OF_REACH, offender=parameter.name)
    if len(reached) != 1:
        return Deny(Reason.PARAMETER_MISSING, offender=parameter.name)
    patient = f"Patient/{next(iter(reached))}"
    return (*values, OperationValue(parameter, patient, "valueString", patient))


def _find_reached_patients(operation: Operation, rule: OperationRule, grant: Grant) -> frozenset[str] | None:
    """The patients to whom a type that the operation needs is limited; None if none is."""
    limits = []
    for _, _, permission in needed_permissions(operation, rule, grant):
        extents = [unit.extent for unit in permission.units]
        compartments = [extent.compartments for extent in extents if isinstance(extent, CompartmentExtent)]
        if compartments and not any(isinstance(extent, Everything) for extent in extents):
            patients = [one.ids for one in compartments if one.compartment_type == "Patient"]
            limits.append(frozenset[str]().union(*patients))
    return frozenset.intersection(*limits) if limits else None


def _allow(
    operation: Operation,
    rule: OperationRule,
    values: tuple[OperationValue, ...],
    sent_references: tuple[SentReferences, ...],
    grant: Grant,
) -> Allow:
    path = "".join(f"/{part}" for part in (operation.resource_type, operation.id, f"${operation.name}") if part)
    reference = None
    if operation.resource_type is not None and operation.id is not None:
        reference = Reference(operation.resource_type, operation.id)
    if isinstance(rule.answer, MetaAnswer) and reference is not None:
        permission = grant.read_permission(reference.resource_type)
        return Allow(UpstreamRequest(f"/{reference}"), MetaFilter(ResourceFilter(permission, reference, grant)))
    assert not isinstance(rule.answer, MetaAnswer)
    letters = _JUDGED_LETTERS & {need.letter for need in rule.needs}
    asked_types = _find_asked_types(values)
    values, omitted_types = _narrow_types(values, rule, letters, grant)
    return Allow(
        _build_request(path, values, rule),
        OperationFilter(
            grant,
            rule.answer,
            letters,
            asked_types,
            is_narrowed=_names_patient(values),
            sent_references=sent_references,
            sent_resource=_find_sent_resource(values),
        ),
        prerequisite=None if grant.reads_everything else reference,
        omitted_parameters=omitted_types,
    )


def _find_sent_resource(values: tuple[OperationValue, ...]) -> Mapping[str, Any] | None:
    return next((value.value for value in values if value.parameter.type is ParameterType.RESOURCE), None)


def _names_patient(values: tuple[OperationValue, ...]) -> bool:
    return any(value.parameter.type is ParameterType.PATIENT for value in values)


def _find_asked_types(values: tuple[OperationValue, ...]) -> frozenset[str] | None:
    lists = [value.text.split(",") for value in values if value.parameter.type is ParameterType.TYPES]
    return frozenset().union(*lists) if lists else None


def _narrow_types(
    values: tuple[OperationValue, ...], rule: OperationRule, letters: frozenset[Letter], grant: Grant
) -> tuple[tuple[OperationValue, ...], tuple[str, ...]]:
    """The values with the types cut to those that the token reaches, and a note for each one that was cut.

    If none of the asked types is within reach, the asked ones are sent, since none at all would mean all of them:
    nothing of the answer is kept.
    """
    parameter = next((one for one in rule.parameters.values() if one.type is ParameterType.TYPES), None)
    if parameter is None or grant.reads_everything or not isinstance(rule.answer, JudgedAnswer):
        return values, ()
    asked = _find_asked_types(values)
    candidates = RESOURCE_TYPES if asked is None else asked
    reached = frozenset(name for name in candidates if may_answer_with(name, letters, grant))
    if asked is None and (not reached or reached >= _patient_types(grant)):
        return values, ()
    omitted = tuple(f"{parameter.name}={name}" for name in sorted(candidates - reached)) if asked else ()
    text = ",".join(sorted(reached or candidates))
    others = tuple(value for value in values if value.parameter is not parameter)
    return (*others, OperationValue(parameter, text, "valueString", text)), omitted


def may_answer_with(resource_type: str, letters: frozenset[Letter], grant: Grant) -> bool:
    """Whether the token may see resources of the type in an answer that is judged by these letters."""
    if not letters:
        return bool(grant.read_or_search_permission(resource_type))
    return all(grant.permission_for(resource_type, letter) for letter in letters)


def _patient_types(grant: Grant) -> frozenset[str]:
    return frozenset(
        name for name in RESOURCE_TYPES if compartment_membership("Patient", name, grant.rules) is not None
    )


def _build_request(path: str, values: tuple[OperationValue, ...], rule: OperationRule) -> UpstreamRequest:
    """A GET with the values as its query, or a POST with Parameters where the values do not fit into a query."""
    query = encode_pairs(tuple((value.parameter.name, value.text) for value in values))
    if not rule.affects_state and all(value.text for value in values) and len(query) <= _MAX_QUERY_LENGTH:
        return UpstreamRequest(path, query)
    parameters = b",".join(value.encode() for value in values)
    member = b',"parameter":[' + parameters + b"]" if parameters else b""
    return UpstreamRequest(path, body=b'{"resourceType":"Parameters"' + member + b"}")
