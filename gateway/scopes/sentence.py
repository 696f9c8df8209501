"""One plain sentence for each scope, for a person who is asked to agree to it (checklist SC-25, SC-30)."""

import re
from collections.abc import Sequence
from typing import assert_never

from gateway.scopes.model import (
    ANY_TYPE,
    Constraint,
    Context,
    ExtensionScope,
    IdentityScope,
    LaunchScope,
    Letter,
    RefreshScope,
    ResourceScope,
    Scope,
)
from gateway.scopes.values import alternatives, unescaped

_VERBS = {
    Letter.CREATE: "add",
    Letter.READ: "read",
    Letter.UPDATE: "change",
    Letter.DELETE: "delete",
    Letter.SEARCH: "search",
}
_LIMIT = {
    Context.PATIENT: "",
    Context.USER: ", as far as the signed-in user may",
    Context.SYSTEM: ", as far as this client may",
}
_IDENTITY = {
    "openid": "Know who has signed in.",
    "fhirUser": "Know which record on this server is the signed-in user's own.",
    "profile": "Know which record on this server is the signed-in user's own.",
}
_REFRESH = {
    "offline_access": "Keep access while nobody is signed in, until it is revoked.",
    "online_access": "Keep access for as long as the user is signed in.",
}


def sentence(scope: Scope) -> str:
    """The sentence, with a capital and a full stop."""
    match scope:
        case ResourceScope():
            return _resource(scope)
        case LaunchScope(None):
            return "Know what is open in the health record from which the app is started."
        case LaunchScope(resource_type, role):
            as_role = f" in the role {role}" if role else ""
            return f"Know which {resource_type} is chosen when the app starts{as_role}."
        case IdentityScope(name):
            return _IDENTITY[name]
        case RefreshScope(name):
            return _REFRESH[name]
        case ExtensionScope(name):
            return f"Use what this server calls {name}."
    assert_never(scope)


def _resource(scope: ResourceScope) -> str:
    verbs = _listed([_VERBS[letter] for letter in Letter if letter in scope.letters], "and")
    kinds, pairs, future = _kinds(scope)
    which = f" whose {_listed([_condition(pair) for pair in pairs], 'and whose')}" if pairs else ""
    return f"{verbs.capitalize()} {kinds}{which}{future}{_LIMIT[scope.context]}."


def _kinds(scope: ResourceScope) -> tuple[str, list[Constraint], str]:
    """The kinds of records, the constraints that are not said by them, and what a star adds (SC-30)."""
    owner = "the patient's " if scope.context is Context.PATIENT else ""
    named = [pair for pair in scope.constraints if pair.name == "_type"]
    if scope.resource_type != ANY_TYPE:
        return f"{owner}{scope.resource_type} records", list(scope.constraints), ""
    if len(named) == 1:
        rest = [pair for pair in scope.constraints if pair is not named[0]]
        return f"{owner}{_listed(alternatives(named[0].value), 'and')} records", rest, ""
    return f"all kinds of {owner}records", list(scope.constraints), ", now and in future"


def _condition(pair: Constraint) -> str:
    name = "kind" if pair.name == "_type" else pair.name.lstrip("_")
    modified = f"{name}:{pair.modifier}" if pair.modifier else name
    return f"{modified} is {_listed(tuple(map(_quoted, alternatives(pair.value))), 'or')}"


def _quoted(alternative: str) -> str:
    """In quotation marks if it holds a space, so that no value can pass for a part of the sentence."""
    meant = unescaped(alternative)
    return '"{}"'.format(meant.replace('"', "'")) if re.search(r"\s", meant) else meant


def _listed(words: Sequence[str], last: str) -> str:
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else words[0]
