"""From scopes back to the string that says them (checklist SC-9, SC-14)."""

from collections.abc import Iterable
from typing import assert_never
from urllib.parse import quote

from gateway.scopes.model import (
    Constraint,
    ExtensionScope,
    IdentityScope,
    LaunchScope,
    Letter,
    RefreshScope,
    ResourceScope,
    Scope,
)
from gateway.scopes.v1 import v1_word

# What a value may hold raw: every scope-token character but `%`, which must be escaped, and `&`, which parts pairs.
_RAW = "!#$'()*+,-./:;<=>?@[]^_`{|}~"


def unparse(scopes: Iterable[Scope]) -> str:
    """The scopes, separated by single spaces. Read back they are the same, within the caps of `parse_scopes`."""
    return " ".join(map(unparse_scope, scopes))


def unparse_scope(scope: Scope) -> str:
    """One scope. A v1 scope keeps its word where v1 can say it (SC-11)."""
    match scope:
        case ResourceScope():
            return _resource(scope)
        case LaunchScope(None):
            return "launch"
        case LaunchScope(resource_type, None):
            return f"launch/{resource_type}"
        case LaunchScope(resource_type, role):
            return f"launch/{resource_type}?role={role}"
        case IdentityScope(name) | RefreshScope(name) | ExtensionScope(name):
            return name
    assert_never(scope)


def _resource(scope: ResourceScope) -> str:
    head = f"{scope.context}/{scope.resource_type}."
    word = v1_word(scope) if scope.v1 else None
    if word is not None:
        return head + word
    letters = "".join(letter for letter in Letter if letter in scope.letters)
    pairs = "&".join(map(_pair, scope.constraints))
    return f"{head}{letters}?{pairs}" if pairs else head + letters


def _pair(constraint: Constraint) -> str:
    name = f"{constraint.name}:{constraint.modifier}" if constraint.modifier else constraint.name
    return f"{name}={quote(constraint.value, safe=_RAW)}"
