"""Resources that a client sends with an operation: none may make the server tell of records out of reach."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.fhir.request.interaction import Operation
from gateway.fhir.resources.written_references import ReferenceForm, find_written_references
from gateway.policy.decision_types import Deny
from gateway.policy.operation_filter import SentReferences
from gateway.policy.operations.operation_input import OperationValue
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.membership import compartment_membership
from gateway.policy.permission.operation_rule import RESOURCE_PARAMETERS, OperationRule, ParameterType
from gateway.policy.permission.permission import Permission
from gateway.policy.permission.reference_reach import ReferenceReach
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.policy.writing.reference_rules import find_reference_needs, refuse_reference_forms
from gateway.policy.writing.written_state import may_change, may_create
from gateway.scopes.model import Letter
from gateway.scopes.resource_types import RESOURCE_TYPES

_JUDGES = {Letter.CREATE: may_create, Letter.UPDATE: may_change}


def judge_resources(
    values: tuple[OperationValue, ...], operation: Operation, rule: OperationRule, grant: Grant
) -> tuple[SentReferences, ...] | Deny:
    """What must be known of the resources' references before they are sent, or the refusal of one of the resources."""
    found: list[SentReferences] = []
    for value in values:
        if value.parameter.type is ParameterType.RESOURCE:
            is_of_address = value.value.get("resourceType") == operation.resource_type
            if not is_of_address or (operation.id and value.value.get("id") not in (None, operation.id)):
                return Deny(Reason.PARAMETER_INVALID, offender=value.parameter.name)
            for need in rule.needs:
                if need.resource_type is None and need.letter in _JUDGES:
                    permission = grant.permission_for(operation.resource_type or "", need.letter)
                    judged = _judge_written(value.value, permission, need.letter, grant.rules)
                    if isinstance(judged, Deny):
                        return judged
                    found.append(judged)
        elif value.parameter.type in RESOURCE_PARAMETERS and not _belongs_to_nobody(value, grant.rules):
            return Deny(Reason.PARAMETER_INVALID, offender=value.parameter.name)
    return tuple(found)


def _judge_written(
    resource: Mapping[str, Any], permission: Permission, letter: Letter, rules: Rules
) -> SentReferences | Deny:
    """Held to what a write of the resource is held to: a server that follows references tells of their targets."""
    if letter is Letter.CREATE:
        # Its id is not yet one, so that a reference to it may lead to somebody's record.
        resource = {name: value for name, value in resource.items() if name != "id"}
    units = tuple(unit for unit in permission.units if _JUDGES[letter](unit, resource))
    if not units:
        return Deny(Reason.WRITE_OUT_OF_REACH)
    references = tuple(find_written_references(resource, rules.bases))
    refusal = refuse_reference_forms(references, units)
    if refusal is not None:
        return refusal
    # Also where writes are not checked: the answer to an operation is what the server makes of the references.
    always_checked = replace(rules, writes=replace(rules.writes, check_references=True))
    needs = find_reference_needs(resource, references, None, ReferenceReach(units, always_checked))
    return needs if isinstance(needs, Deny) else SentReferences(units, needs.references, needs.records)


def _belongs_to_nobody(value: OperationValue, rules: Rules) -> bool:
    """Whether a resource is of the kind that the rule takes, and refers to no record of a patient."""
    resource = value.value
    resource_type = resource.get("resourceType")
    if value.parameter.type is ParameterType.DEMOGRAPHICS:
        is_of_kind = resource_type == "Patient"
    else:
        is_of_kind = resource_type in RESOURCE_TYPES and compartment_membership("Patient", resource_type, rules) is None
    return is_of_kind and not any(
        reference.form in {ReferenceForm.CRITERIA, ReferenceForm.UNCLEAR}
        or (
            reference.target is not None
            and compartment_membership("Patient", reference.target.resource_type, rules) is not None
        )
        for reference in find_written_references(resource, rules.bases)
    )
