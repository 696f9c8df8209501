"""What an audit line says of scopes and parameters, so that `explain --decision` can follow it: names, never ids."""

from collections.abc import Iterable
from dataclasses import replace

from gateway.fhir.request import interaction as fhir
from gateway.fhir.search.query import Query
from gateway.policy.recording.hidden_scopes import CODED_PARAMETERS
from gateway.scopes.format_scopes import format_scope
from gateway.scopes.model import Constraint, ResourceScope, Scope

HIDDEN_VALUE = "*"
# Characters. Scopes beyond that are left out, because every line of the token has them.
MAX_SCOPE_TEXT = 4096
LEFT_OUT = "..."


def scope_text(scopes: Iterable[Scope]) -> str:
    """The valid scopes of a token. Values of constraints that may identify a person are `*`."""
    words, length = [], 0
    for scope in scopes:
        word = format_scope(_hide_values(scope))
        length += len(word) + 1
        if length > MAX_SCOPE_TEXT:
            words.append(LEFT_OUT)
            break
        words.append(word)
    return " ".join(words)


def _hide_values(scope: Scope) -> Scope:
    if not isinstance(scope, ResourceScope) or not scope.constraints:
        return scope
    return replace(scope, constraints=tuple(map(_hide_value, scope.constraints)))


def _hide_value(constraint: Constraint) -> Constraint:
    return constraint if constraint.name in CODED_PARAMETERS else replace(constraint, value=HIDDEN_VALUE)


def parameter_names(interaction: fhir.RecordedInteraction | None) -> tuple[str, ...]:
    """The names of the query's parameters with their modifiers, each once; all of them are defined by R4 or settings.

    The parameters of an operation are left out: their names are the client's.
    """
    if isinstance(interaction, fhir.ExportKickoff):
        return tuple(dict.fromkeys(name for name, _ in interaction.parameters.pairs()))
    if isinstance(interaction, fhir.AppStateRequest):
        return parameter_names(interaction.request)
    query = interaction.criteria if isinstance(interaction, fhir.Write) else getattr(interaction, "query", None)
    if not isinstance(query, Query):
        return ()
    return tuple(dict.fromkeys(name for name, _ in query.pairs()))
