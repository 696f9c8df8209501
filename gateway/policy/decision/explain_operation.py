"""The explanation of how the answer of an operation is held, in words."""

from typing import assert_never

from gateway.fhir.request.interaction import Operation
from gateway.policy.operation_filter import OperationFilter
from gateway.policy.permission.operation_rule import (
    JudgedAnswer,
    OutcomeAnswer,
    TerminologyAnswer,
    WholeAnswer,
    find_operation_rule,
)
from gateway.policy.permission.rules import Rules
from gateway.scopes.model import Letter


def needed_letters(operation: Operation, rules: Rules) -> tuple[Letter, ...]:
    """The letters that the operation needs, in the order of its rule; none if there is no rule."""
    rule = find_operation_rule(operation, rules.operations)
    return () if rule is None else tuple(dict.fromkeys(need.letter for need in rule.needs))


def describe_operation_filter(operation_filter: OperationFilter) -> str:
    """What of an operation's answer is shown."""
    answer = operation_filter.answer
    sent = "; before that, every reference of the resource that is sent must lead into reach"
    before = sent if any(references.records for references in operation_filter.sent_references) else ""
    match answer:
        case JudgedAnswer(types=types):
            letters = " and ".join(sorted(operation_filter.letters)) or "r or s"
            only = f", of type {' or '.join(sorted(types))}" if types is not None else ""
            return f"each resource by itself, also in Parameters{only}, by scopes with {letters}{before}"
        case WholeAnswer():
            return f"the whole answer: it is shown only if everything in it may be{before}"
        case OutcomeAnswer(has_texts=False):
            return f"only severities, codes, and places in the resource that was sent{before}"
        case OutcomeAnswer():
            return f"only an OperationOutcome, or Parameters without any other resource{before}"
        case TerminologyAnswer(types=types):
            return f"only {' or '.join([*sorted(types), 'Parameters'])}, with no resource of a patient in it{before}"
    assert_never(answer)
