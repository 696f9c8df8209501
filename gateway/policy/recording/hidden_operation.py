"""Operations as they are recorded: their names where a manifest has them, and stand-ins for what clients send."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.fhir.request.interaction import Operation, OperationArgument
from gateway.fhir.search.search_values import is_date_time
from gateway.policy.permission.operation_rule import (
    OperationAddress,
    OperationParameter,
    OperationRule,
    ParameterType,
    find_operation_rule,
)
from gateway.policy.recording.hidden_names import hide_name
from gateway.policy.recording.hidden_values import StandIns, hide_date, hide_number
from gateway.policy.recording.recorded_request import RecordedArgument
from gateway.scopes.resource_types import RESOURCE_TYPES

# The members of Parameters that hold values. A client can write any other one.
_KINDS = frozenset(
    {
        "resource",
        "valueBoolean",
        "valueInteger",
        "valuePositiveInt",
        "valueUnsignedInt",
        "valueDecimal",
        "valueDateTime",
        "valueDate",
        "valueTime",
        "valueInstant",
        "valueCode",
        "valueString",
        "valueId",
        "valueUri",
        "valueCanonical",
        "valueUrl",
        "valueUuid",
        "valueMarkdown",
        "valueCoding",
        "valueCodeableConcept",
        "valueReference",
        "valueIdentifier",
        "valuePeriod",
        "valueQuantity",
    }
)


def list_names(operations: Mapping[OperationAddress, OperationRule]) -> frozenset[str]:
    """The names of operations and of their parameters that a manifest has."""
    parameters = (rule.parameters for rule in operations.values())
    return frozenset(address.name for address in operations).union(*parameters)


class HiddenOperation:
    """An operation under a manifest, with stand-ins for its ids and values."""

    def __init__(
        self, operation: Operation, operations: Mapping[OperationAddress, OperationRule], stand_ins: StandIns
    ) -> None:
        self._operation = operation
        self._rule = find_operation_rule(operation, operations)
        self._names = list_names(operations)
        self._stand_ins = stand_ins

    @property
    def name(self) -> str:
        """Its name without a dollar sign, or the digest of it."""
        return hide_name(self._operation.name, self._names)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """The parameters of its query."""
        for name, value in self._operation.parameters:
            yield hide_name(name, self._names), self._hide_text(self._find_parameter(name), value)

    def arguments(self) -> Iterator[RecordedArgument]:
        """The values of its body."""
        for argument in self._operation.arguments:
            name = hide_name(argument.name, self._names) if argument.name else ""
            kind = argument.kind if argument.kind in _KINDS else "valueOther"
            yield RecordedArgument(name, kind, self._hide_value(argument))

    def _find_parameter(self, name: str) -> OperationParameter | None:
        return None if self._rule is None else self._rule.parameters.get(name)

    def _hide_value(self, argument: OperationArgument) -> Any:
        value = argument.value
        if argument.kind == "resource":
            resource_type = value.get("resourceType") if isinstance(value, dict) else None
            return {"resourceType": resource_type if resource_type in RESOURCE_TYPES else "Other"}
        if argument.kind == "valueReference":
            text = value.get("reference") if isinstance(value, dict) else None
            return {"reference": self._stand_ins.reference(text)} if isinstance(text, str) else {}
        if isinstance(value, bool):
            return value
        if isinstance(value, int):
            return 1 if value else 0
        if isinstance(value, str):
            return self._hide_text(self._find_parameter(argument.name), value)
        return self._hide_tree(value, depth=0)

    def _hide_tree(self, value: Any, depth: int) -> Any:
        """A Coding or a CodeableConcept. What else a client writes has no member that is kept."""
        if isinstance(value, str):
            return self._stand_ins.value(value)
        if isinstance(value, list) and depth < 3:
            return [self._hide_tree(item, depth + 1) for item in value[:1]]
        if isinstance(value, dict) and depth < 3:
            return {
                name
                if name in {"system", "version", "code", "display", "coding", "text"}
                else "other": self._hide_tree(member, depth + 1)
                for name, member in value.items()
            }
        return None

    def _hide_text(self, parameter: OperationParameter | None, text: str) -> str:
        if parameter is None:
            return self._stand_ins.value(text)
        match parameter.type:
            case ParameterType.INTEGER | ParameterType.COUNT:
                return hide_number(text)
            case ParameterType.DATE | ParameterType.INSTANT:
                return hide_date(text) if is_date_time(text) else "value"
            case ParameterType.CODE:
                return text if text in parameter.codes else self._stand_ins.value(text)
            case ParameterType.URI:
                return self._stand_ins.uri(text)
            case ParameterType.CODING:
                return self._stand_ins.coded(text)
            case ParameterType.TYPES:
                return ",".join(
                    name if name in RESOURCE_TYPES else self._stand_ins.value(name) for name in text.split(",")
                )
            case ParameterType.PATIENT:
                return self._stand_ins.reference(text)
            case _:
                return self._stand_ins.value(text)
