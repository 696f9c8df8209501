"""Scopes as they are recorded: as they were granted, with stand-ins for values of constraints that are no codes."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gateway.fhir.search.query import ChainLink, SearchKey
from gateway.fhir.search.search_keys import ParameterDefinitions
from gateway.policy.permission.access import Access
from gateway.policy.permission.record_rule import RecordRule
from gateway.policy.permission.security_labels import SecurityLabelRule
from gateway.policy.recording.hidden_names import hide_name
from gateway.policy.recording.hidden_values import StandIns, find_search_types
from gateway.scopes.constraint_value_syntax import split_alternatives
from gateway.scopes.model import ANY_TYPE, Constraint, ExtensionScope, LaunchScope, ResourceScope, Scope
from gateway.scopes.resource_types import RESOURCE_TYPES

# Their values are codes of a vocabulary, which every token of the app has, and decisions ask whether a search repeats
# them. The value of any other one may be a name, a date or an id of a person.
CODED_PARAMETERS = frozenset(
    {"category", "clinical-status", "code", "intent", "status", "type", "_profile", "_security", "_tag", "_type"}
)


def find_kept_values(scopes: tuple[Scope, ...]) -> Iterator[str]:
    """The codes in the constraints of the scopes."""
    for scope in scopes:
        for constraint in scope.constraints if isinstance(scope, ResourceScope) else ():
            if constraint.name in CODED_PARAMETERS:
                yield from split_alternatives(constraint.value)


def hide_scopes(scopes: tuple[Scope, ...], stand_ins: StandIns, definitions: ParameterDefinitions) -> Iterator[Scope]:
    """The scopes of SMART with stand-ins. Others are words (`hide_words`)."""
    for scope in scopes:
        match scope:
            case ResourceScope():
                yield _hide_constraints(scope, stand_ins, definitions)
            case LaunchScope():
                # What a role says is the app's own word, on which no decision depends.
                yield replace(scope, role=None)
            case ExtensionScope():
                pass
            case _:
                yield scope


def list_rule_words(rules: Iterable[RecordRule]) -> frozenset[str]:
    """The words of a token's scope that rules about labels name."""
    labels = (rule for rule in rules if isinstance(rule, SecurityLabelRule))
    return frozenset().union(*(rule.scopes | rule.changing_scopes for rule in labels))


def hide_words(access: Access, rules: Iterable[RecordRule]) -> Iterator[str]:
    """Digests of the token's scopes that are not SMART's, and of words in its scope that the rules name."""
    extensions = {scope.name for scope in access.scopes if isinstance(scope, ExtensionScope)}
    for word in sorted(extensions | list_rule_words(rules).intersection(access.scope_text.split())):
        yield hide_name(word, ())


def _hide_constraints(scope: ResourceScope, stand_ins: StandIns, definitions: ParameterDefinitions) -> ResourceScope:
    if not scope.constraints:
        return scope
    types = RESOURCE_TYPES if scope.resource_type == ANY_TYPE else (scope.resource_type,)

    def hide(constraint: Constraint) -> Constraint:
        if constraint.name in CODED_PARAMETERS:
            return constraint
        search_types = find_search_types(SearchKey((ChainLink(constraint.name),)), types, definitions)
        value = stand_ins.alternatives(constraint.value, constraint.name, constraint.modifier, search_types)
        return replace(constraint, value=value)

    return replace(scope, constraints=tuple(map(hide, scope.constraints)))
