"""Formatting of scopes as a scope string (SC-9, SC-14)."""

import re
from collections.abc import Iterable
from typing import assert_never
from urllib.parse import quote

from gateway.scopes.letters import SPELLING_BY_LETTERS
from gateway.scopes.model import (
    Constraint,
    ExtensionScope,
    IdentityScope,
    LaunchScope,
    RefreshScope,
    ResourceScope,
    Scope,
)
from gateway.scopes.v1 import find_v1_word

# The characters that a value may hold unescaped: all scope-token characters but `%`, and `&`, which separates pairs.
_UNESCAPED = "!#$'()*+,-./:;<=>?@[]^_`{|}~"
_NEEDS_NO_ESCAPE = re.compile(r"[!#$'-\[\]-~]*")


def format_scopes(scopes: Iterable[Scope]) -> str:
    """The scopes, separated by single spaces. `parse_scopes` returns the same scopes, within its limits."""
    return " ".join(map(format_scope, scopes))


def format_scope(scope: Scope) -> str:
    """One scope. A v1 scope keeps its form if SMART 1.0 has the permission (SC-11)."""
    match scope:
        case ResourceScope():
            return _format_resource_scope(scope)
        case LaunchScope(None):
            return "launch"
        case LaunchScope(resource_type, None):
            return f"launch/{resource_type}"
        case LaunchScope(resource_type, role):
            return f"launch/{resource_type}?role={role}"
        case IdentityScope(name) | RefreshScope(name) | ExtensionScope(name):
            return name
    assert_never(scope)


def _format_resource_scope(scope: ResourceScope) -> str:
    head = f"{scope.context}/{scope.resource_type}."
    word = find_v1_word(scope) if scope.is_v1 else None
    if word is not None:
        return head + word
    letters = SPELLING_BY_LETTERS[scope.letters]
    pairs = "&".join(map(_format_constraint, scope.constraints))
    return f"{head}{letters}?{pairs}" if pairs else head + letters


def _format_constraint(constraint: Constraint) -> str:
    name = f"{constraint.name}:{constraint.modifier}" if constraint.modifier else constraint.name
    value = constraint.value
    return f"{name}={value if _NEEDS_NO_ESCAPE.fullmatch(value) else quote(value, safe=_UNESCAPED)}"
