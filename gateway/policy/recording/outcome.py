"""The outcome of a decision as texts, so that those of two configurations can be compared and shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from gateway.fhir.request.interaction import Interaction, Operation
from gateway.policy.decision.explain_decision import describe_limits, explained_letters
from gateway.policy.decision.explain_operation import describe_operation_filter, needed_letters
from gateway.policy.decision_types import (
    Allow,
    AllowBundle,
    AllowWrite,
    Deny,
    ExportFilter,
    HistoryFilter,
    PassThrough,
    ResponseFilter,
    SearchFilter,
)
from gateway.policy.operation_filter import OperationFilter
from gateway.policy.permission.export_permission import export_permission, exportable_types
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.operation_rule import find_operation_rule
from gateway.policy.permission.permission import Permission
from gateway.policy.permission.rules import WriteRules
from gateway.policy.permission.unit import Unit
from gateway.policy.reasons import Reason
from gateway.policy.recording.replay_request import Replayed
from gateway.scopes.model import Letter


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a request: refused for `reason`, or `sent` and `shown` as these sentences say.

    `sent` is what the FHIR server is asked, `shown` what is permitted of its answer or of a write.
    """

    reason: Reason
    sent: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()

    @property
    def is_allowed(self) -> bool:
        """Whether the request is let through."""
        return self.reason is Reason.PERMITTED


def describe_outcome(replayed: Replayed) -> Outcome:
    """The outcome of a decision."""
    decision, grant = replayed.decision, replayed.grant
    match decision:
        case Deny(reason):
            return Outcome(reason)
        case AllowBundle():
            return Outcome(Reason.PERMITTED)
        case AllowWrite(condition=condition, if_none_exist=if_none_exist, narrowing=narrowing):
            sent = [*(() if condition is None else _describe_sent(condition)), if_none_exist, *map("=".join, narrowing)]
            return Outcome(
                Reason.PERMITTED, tuple(filter(None, sent)), tuple(sorted({*_shown(replayed), *_of_writes(grant)}))
            )
        case Allow():
            shown = {*_shown(replayed), *_describe_filter(decision.response_filter)}
            return Outcome(Reason.PERMITTED, tuple(_describe_sent(decision)), tuple(sorted(shown)))
    assert_never(decision)


def _describe_sent(allow: Allow) -> Iterator[str]:
    request = allow.upstream_request
    yield f"{'POST' if request.body else 'GET'} {request.target}"
    if request.body:
        yield request.body.decode("utf-8", "replace")
    if allow.prerequisite is not None:
        yield f"first the current version of {allow.prerequisite}"


def _of_writes(grant: Grant) -> Iterator[str]:
    """The rules about what is written, beside those that the decision has applied."""
    rules = grant.rules.writes
    for name in WriteRules.__dataclass_fields__:
        value = getattr(rules, name)
        if isinstance(value, bool) and name != "allow":
            yield f"writes: {name} is {str(value).lower()}"


def _describe_filter(response_filter: ResponseFilter) -> Iterator[str]:
    match response_filter:
        case PassThrough():
            yield "everything that the FHIR server answers"
        case SearchFilter(is_exact=is_exact):
            yield "with its total" if is_exact else "without a total"
        case HistoryFilter():
            yield "each version by itself"
        case OperationFilter():
            yield describe_operation_filter(response_filter)
        case _:
            return


def _shown(replayed: Replayed) -> Iterator[str]:
    """What each unit permits, of the types that the request is about."""
    interaction, grant = replayed.interaction, replayed.grant
    if interaction is None:
        return
    for permission in _permissions(replayed, interaction, grant):
        for unit in permission.units:
            yield _describe_unit(unit, permission.resource_type)


def _permissions(replayed: Replayed, interaction: Interaction, grant: Grant) -> Iterator[Permission]:
    if isinstance(interaction, Operation):
        yield from _permissions_of_operation(interaction, grant)
        return
    letters = explained_letters(interaction)
    for resource_type in _types_of(replayed, interaction):
        yield from (grant.permission_for(resource_type, letter) for letter in letters)
    decision = replayed.decision
    if isinstance(decision, Allow) and isinstance(decision.response_filter, ExportFilter):
        for resource_type in decision.response_filter.parameters.types or sorted(exportable_types(grant)):
            yield export_permission(grant, resource_type)


def _permissions_of_operation(operation: Operation, grant: Grant) -> Iterator[Permission]:
    rule = find_operation_rule(operation, grant.rules.operations)
    for need in () if rule is None else rule.needs:
        resource_type = need.resource_type or operation.resource_type
        if resource_type is not None:
            yield grant.permission_for(resource_type, need.letter)
    if operation.resource_type is not None:
        letters = needed_letters(operation, grant.rules) or (Letter.READ,)
        yield grant.permission_for(operation.resource_type, *letters)


def _types_of(replayed: Replayed, interaction: Interaction) -> Iterator[str]:
    """The type of the request, or the types that are searched; and those that the query includes."""
    decision = replayed.decision
    resource_type = getattr(interaction, "resource_type", None)
    if isinstance(resource_type, str) and resource_type != "*":
        yield resource_type
    elif isinstance(decision, Allow) and isinstance(decision.response_filter, SearchFilter | HistoryFilter):
        yield from sorted(getattr(decision.response_filter, "searched_types", None) or replayed.grant.searchable_types)
    query = getattr(interaction, "query", None)
    for include in () if query is None else query.includes:
        yield from (name for name in (include.source, include.target) if name is not None and name != "*")


def _describe_unit(unit: Unit, resource_type: str) -> str:
    """The unit without the scope that it comes from: another scope may permit just the same."""
    constraints = () if unit.scope is None or not unit.criteria else unit.scope.constraints
    pairs = " and ".join(sorted(f"{one.name}={one.value}" for one in constraints))
    elements = ", ".join(sorted(unit.elements - {"contained"}))
    text = describe_limits(unit, resource_type) + (f" ({pairs})" if pairs else "")
    return f"{text}; looks at {elements}" if elements else text
