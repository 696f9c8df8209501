"""The words of an entry of the manifest, compiled into a rule: `Patient.r`, `date 1..1`, `code create`."""

import re
from types import MappingProxyType

from gateway.fhir.request.interaction import OperationLevel
from gateway.fhir.resources.compartments import get_membership_parameters
from gateway.policy.permission.operation_rule import (
    AnswerRule,
    JudgedAnswer,
    MetaAnswer,
    OperationAddress,
    OperationNeed,
    OperationParameter,
    OperationRule,
    OutcomeAnswer,
    ParameterType,
    TerminologyAnswer,
    WholeAnswer,
)
from gateway.scopes.model import Letter
from gateway.scopes.resource_types import RESOURCE_TYPES
from gateway.settings.enforcement.operation_entry import OperationEntry
from gateway.settings.section import SettingPath

_NEED = re.compile(r"(\[type\]|[A-Za-z]+)\.([cruds])")
_PARAMETER = re.compile(r"(?P<type>[A-Za-z]+)(?: (?P<cardinality>[01]\.\.[1*]))?(?P<codes>(?: [a-z][a-z0-9\-]*)*)")
_PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]{0,63}")


class OperationWordError(Exception):
    """A word of the entry has no meaning; `path` leads to it, from the entry on."""

    def __init__(self, path: SettingPath, sentence: str) -> None:
        super().__init__(sentence)
        self.path = path
        self.sentence = sentence


def compile_operation(address: OperationAddress, entry: OperationEntry) -> OperationRule:
    """The rule. Raises `OperationWordError`."""
    if entry.needs is None:
        raise OperationWordError(("needs",), "is required: the letters that a token needs, [] for none")
    affects_state = entry.affects_state is True
    methods = entry.methods or (("POST",) if affects_state else ("GET", "POST"))
    if affects_state and "GET" in methods:
        raise OperationWordError(("methods",), "must be [POST], because affects_state is true")
    parameters = {name: _compile_parameter(name, words, address) for name, words in (entry.parameters or {}).items()}
    rule = OperationRule(
        address,
        entry.enabled is not False,
        tuple(methods),
        tuple(_compile_need(word, address) for word in entry.needs),
        MappingProxyType(parameters),
        _compile_answer(entry, address),
        affects_state,
        entry.despite_record_rules is True,
    )
    _check_instance(rule)
    _check_parameters(rule)
    return rule


def _compile_need(word: str, address: OperationAddress) -> OperationNeed:
    match = _NEED.fullmatch(word)
    if match is None or match[1] not in RESOURCE_TYPES | {"[type]"}:
        raise OperationWordError(
            ("needs",), f"holds {word!r}; a word is a resource type, a dot and a letter: Patient.r"
        )
    if match[1] == "[type]" and address.level is OperationLevel.SYSTEM:
        raise OperationWordError(("needs",), "must name its types, because the operation is invoked on none")
    resource_type = None if match[1] in {"[type]", address.resource_type} else match[1]
    return OperationNeed(resource_type, Letter(match[2]))


def _compile_parameter(name: str, words: str, address: OperationAddress) -> OperationParameter:
    path = ("parameters", name)
    match = _PARAMETER.fullmatch(words)
    kinds = ", ".join(ParameterType)
    if _PARAMETER_NAME.fullmatch(name) is None:
        raise OperationWordError(path, "must be the name of a parameter: letters, digits, - and _")
    if match is None or match["type"] not in set(ParameterType):
        raise OperationWordError(path, f"must be a type, and 1..1 or 0..* if that is meant. Types are {kinds}")
    kind = ParameterType(match["type"])
    codes = frozenset(match["codes"].split())
    if codes and kind is not ParameterType.CODE:
        raise OperationWordError(path, "may list values for the type code only")
    if kind is ParameterType.RESOURCE and address.level is OperationLevel.SYSTEM:
        raise OperationWordError(path, "cannot be a resource, because the operation is invoked on no type")
    cardinality = match["cardinality"] or "0..1"
    return OperationParameter(name, kind, cardinality.startswith("1"), cardinality.endswith("*"), codes)


def _compile_answer(entry: OperationEntry, address: OperationAddress) -> AnswerRule:
    answer, types = entry.answer, entry.answer_types
    if answer not in {"judged", "terminology"} and entry.answer_parameters is not None:
        raise OperationWordError(("answer_parameters",), "is of use only where answer is judged or terminology")
    if answer != "terminology" and entry.despite_record_rules is not None:
        raise OperationWordError(("despite_record_rules",), "is of use only where answer is terminology")
    if answer != "outcome" and entry.texts is not None:
        raise OperationWordError(("texts",), "is of use only where answer is outcome")
    match answer:
        case "judged":
            names = frozenset({"return", *(entry.answer_parameters or ())})
            return JudgedAnswer(None if types is None else frozenset(types), names)
        case "terminology":
            of_patients = sorted(name for name in types or () if get_membership_parameters("Patient", name))
            if of_patients:
                raise OperationWordError(
                    ("answer_types",), f"must not hold {of_patients[0]}, which belongs to patients"
                )
            return TerminologyAnswer(frozenset(types or ()), frozenset(entry.answer_parameters or ()))
        case "meta" if address.level is not OperationLevel.INSTANCE:
            raise OperationWordError(("answer",), "can be meta for an operation on one record only")
        case "meta" | "whole" | "outcome" if types is not None:
            raise OperationWordError(("answer_types",), "is of use only where answer is judged or terminology")
        case "meta":
            return MetaAnswer()
        case "whole":
            return WholeAnswer()
        case "outcome":
            return OutcomeAnswer(has_texts=entry.texts == "server")
        case _:
            raise OperationWordError(("answer",), "is required: judged, whole, meta, outcome or terminology")


def _check_instance(rule: OperationRule) -> None:
    """A record is read before an operation is sent to it, so that nothing tells of one out of reach."""
    if rule.address.level is OperationLevel.INSTANCE and OperationNeed(None, Letter.READ) not in rule.needs:
        raise OperationWordError(
            ("needs",), "must hold the letter r of the type, because the operation tells of a record"
        )


def _check_parameters(rule: OperationRule) -> None:
    kinds = [parameter.type for parameter in rule.parameters.values()]
    for kind in (ParameterType.TYPES, ParameterType.PATIENT):
        if kinds.count(kind) > 1:
            raise OperationWordError(("parameters",), f"may hold one of the type {kind} only")
    is_judged = any(need.letter in {Letter.CREATE, Letter.UPDATE} and need.resource_type is None for need in rule.needs)
    if ParameterType.RESOURCE in kinds and not is_judged:
        raise OperationWordError(
            ("needs",), "must hold the letter c or u, by which the resource is judged that is sent"
        )
