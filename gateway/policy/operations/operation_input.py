"""What a client sends with an operation, read by the manifest: values of known parameters, and nothing else."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.fhir.query_limits import MAX_COUNT
from gateway.fhir.reference import ID_PATTERN, parse_reference
from gateway.fhir.request.interaction import Operation, OperationArgument
from gateway.fhir.search.search_values import is_date_time, is_instant
from gateway.policy.decision_types import Deny
from gateway.policy.permission.operation_rule import (
    RESOURCE_PARAMETERS,
    OperationParameter,
    OperationRule,
    ParameterType,
)
from gateway.policy.reasons import Reason
from gateway.scopes.resource_types import RESOURCE_TYPES

_CODE = re.compile(r"[^\s]{1,100}(?: [^\s]{1,100}){0,10}")
# A Coding in a query, as US Core has it for `$docref`: `system|code` or the code alone.
_TOKEN = re.compile(r"(?:(?P<system>[!-{}~]{1,1000})\|)?(?P<code>[^\s|,\\]{1,100})")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
_URI = re.compile(r"[!-~]{1,1000}")
_MAX_STRING = 1000
_CODING_MEMBERS = frozenset({"system", "version", "code", "display"})

# By type: the members of Parameters that may hold a value. The first is the one that is sent.
_MEMBERS: Mapping[ParameterType, tuple[str, ...]] = {
    ParameterType.BOOLEAN: ("valueBoolean",),
    ParameterType.INTEGER: ("valueInteger", "valuePositiveInt", "valueUnsignedInt"),
    ParameterType.COUNT: ("valueInteger", "valuePositiveInt", "valueUnsignedInt"),
    ParameterType.DATE: ("valueDateTime", "valueDate", "valueInstant"),
    ParameterType.INSTANT: ("valueInstant", "valueDateTime"),
    ParameterType.CODE: ("valueCode", "valueString"),
    ParameterType.STRING: ("valueString", "valueCode"),
    ParameterType.URI: ("valueUri", "valueCanonical", "valueUrl", "valueString"),
    ParameterType.CODING: ("valueCoding",),
    ParameterType.CODEABLE_CONCEPT: ("valueCodeableConcept",),
    ParameterType.TYPES: ("valueCode", "valueString"),
    ParameterType.PATIENT: ("valueId", "valueString", "valueUri", "valueReference"),
    **dict.fromkeys(RESOURCE_PARAMETERS, ("resource",)),
}
_COMPLEX = RESOURCE_PARAMETERS | {ParameterType.CODING, ParameterType.CODEABLE_CONCEPT}


@dataclass(frozen=True, slots=True)
class OperationValue:
    """One value. `text` is how it is sent in a query; empty for a value that has no such form.

    `member` is the one of Parameters that holds `value`. `raw` are the bytes of a resource.
    """

    parameter: OperationParameter
    text: str
    member: str
    value: Any
    raw: bytes = b""

    def encode(self) -> bytes:
        """The value as a parameter of Parameters."""
        if self.raw:
            return b'{"name":' + orjson.dumps(self.parameter.name) + b',"resource":' + self.raw.strip() + b"}"
        return orjson.dumps({"name": self.parameter.name, self.member: self.value})


class _InputRefused(Exception):
    """The input is refused because of the parameter `offender`."""

    def __init__(self, reason: Reason, offender: str) -> None:
        super().__init__(reason)
        self.deny = Deny(reason, offender)


def read_operation_input(
    operation: Operation, rule: OperationRule, bases: Sequence[str]
) -> tuple[OperationValue, ...] | Deny:
    """The values of query and body, or the refusal of what no rule foresees. `bases` as in `parse_reference`."""
    try:
        values = (*_read_query(operation, rule, bases), *_read_body(operation, rule, bases))
        _check_numbers(values, rule)
    except _InputRefused as refused:
        return refused.deny
    return values


def _read_query(operation: Operation, rule: OperationRule, bases: Sequence[str]) -> Iterator[OperationValue]:
    for name, text in operation.parameters:
        parameter = _find_parameter(rule, name)
        if parameter.type is ParameterType.CODING and (match := _TOKEN.fullmatch(text)) is not None:
            coding = {member: value for member, value in match.groupdict().items() if value}
            yield OperationValue(parameter, text, "valueCoding", coding)
            continue
        if parameter.type in _COMPLEX:
            raise _InputRefused(Reason.PARAMETER_INVALID, name)
        yield _read_text(parameter, text, "", bases)


def _read_body(operation: Operation, rule: OperationRule, bases: Sequence[str]) -> Iterator[OperationValue]:
    for argument in operation.arguments:
        parameter = _find_parameter(rule, argument.name) if argument.name else rule.resource_parameter()
        if parameter is None:
            raise _InputRefused(Reason.PARAMETER_UNKNOWN, "body")
        yield _read_argument(parameter, argument, bases)


def _find_parameter(rule: OperationRule, name: str) -> OperationParameter:
    parameter = rule.parameters.get(name)
    if parameter is None:
        raise _InputRefused(Reason.PARAMETER_UNKNOWN, name)
    return parameter


def _check_numbers(values: tuple[OperationValue, ...], rule: OperationRule) -> None:
    names = [value.parameter.name for value in values]
    for parameter in rule.parameters.values():
        count = names.count(parameter.name)
        if parameter.is_required and not count:
            raise _InputRefused(Reason.PARAMETER_MISSING, parameter.name)
        if count > 1 and not parameter.is_repeatable:
            raise _InputRefused(Reason.PARAMETER_REPEATED, parameter.name)


def _read_argument(parameter: OperationParameter, argument: OperationArgument, bases: Sequence[str]) -> OperationValue:
    value, kind = argument.value, argument.kind
    if kind not in _MEMBERS[parameter.type]:
        raise _InputRefused(Reason.PARAMETER_INVALID, parameter.name)
    if parameter.type in RESOURCE_PARAMETERS:
        if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
            raise _InputRefused(Reason.PARAMETER_INVALID, parameter.name)
        return OperationValue(parameter, "", "resource", value, argument.text)
    if parameter.type in _COMPLEX:
        if not _is_concept(value, parameter.type):
            raise _InputRefused(Reason.PARAMETER_INVALID, parameter.name)
        return OperationValue(parameter, "", kind, value)
    if kind == "valueReference":
        value, kind = value.get("reference") if isinstance(value, dict) else None, ""
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, int):
        value = str(value)
    if not isinstance(value, str):
        raise _InputRefused(Reason.PARAMETER_INVALID, parameter.name)
    return _read_text(parameter, value, kind, bases)


def _read_text(parameter: OperationParameter, text: str, member: str, bases: Sequence[str]) -> OperationValue:
    """The value that a text stands for, which came in `member` of Parameters, or in the query if that is empty."""
    canonical = _CANONICAL_TEXTS[parameter.type](text, bases)
    if canonical is None or (parameter.codes and canonical not in parameter.codes):
        raise _InputRefused(Reason.PARAMETER_INVALID, parameter.name)
    value: bool | int | str = canonical
    if parameter.type is ParameterType.BOOLEAN:
        value = canonical == "true"
    elif parameter.type in {ParameterType.INTEGER, ParameterType.COUNT}:
        value = int(canonical)
    return OperationValue(parameter, canonical, member or _MEMBERS[parameter.type][0], value)


def _is_concept(value: Any, kind: ParameterType) -> bool:
    """Whether a value is a Coding or a CodeableConcept without anything beside its codes."""
    if not isinstance(value, dict):
        return False
    if kind is ParameterType.CODING:
        return value.keys() <= _CODING_MEMBERS and all(isinstance(member, str) for member in value.values())
    codings = value.get("coding", [])
    return (
        value.keys() <= {"coding", "text"}
        and isinstance(value.get("text", ""), str)
        and isinstance(codings, list)
        and all(_is_concept(coding, ParameterType.CODING) for coding in codings)
    )


def _read_whole_number(text: str, _: Sequence[str]) -> str | None:
    return str(int(text)) if _WHOLE_NUMBER.fullmatch(text) else None


def _read_count(text: str, _: Sequence[str]) -> str | None:
    return str(min(int(text), MAX_COUNT)) if _WHOLE_NUMBER.fullmatch(text) and int(text) else None


def _read_types(text: str, _: Sequence[str]) -> str | None:
    names = tuple(dict.fromkeys(text.split(",")))
    return ",".join(names) if RESOURCE_TYPES.issuperset(names) else None


def _read_patient(text: str, bases: Sequence[str]) -> str | None:
    """The id or the relative reference, as the client wrote it; None for anything else."""
    reference = parse_reference(text, bases)
    if reference is not None:
        return str(reference) if reference.resource_type == "Patient" and reference.version_id is None else None
    return text if ID_PATTERN.fullmatch(text) and text not in {".", ".."} else None


def _matching(is_valid: Callable[[str], Any]) -> Callable[[str, Sequence[str]], str | None]:
    def read(text: str, _: Sequence[str]) -> str | None:
        return text if is_valid(text) else None

    return read


# The text that is sent for a text that came; None if it is not a value of the type.
_CANONICAL_TEXTS: Mapping[ParameterType, Callable[[str, Sequence[str]], str | None]] = {
    ParameterType.BOOLEAN: _matching(frozenset({"true", "false"}).__contains__),
    ParameterType.INTEGER: _read_whole_number,
    ParameterType.COUNT: _read_count,
    ParameterType.DATE: _matching(is_date_time),
    ParameterType.INSTANT: _matching(is_instant),
    ParameterType.CODE: _matching(_CODE.fullmatch),
    ParameterType.STRING: _matching(lambda text: 0 < len(text) <= _MAX_STRING and text.isprintable() and text.strip()),
    ParameterType.URI: _matching(_URI.fullmatch),
    ParameterType.TYPES: _read_types,
    ParameterType.PATIENT: _read_patient,
}
