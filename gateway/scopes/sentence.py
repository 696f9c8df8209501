"""One plain sentence for each scope, for a person who is asked to agree to it (checklist SC-25, BP-4)."""

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

_VERBS = {
    Letter.CREATE: "add",
    Letter.READ: "read",
    Letter.UPDATE: "change",
    Letter.DELETE: "delete",
    Letter.SEARCH: "search",
}
_WHOSE = {
    Context.PATIENT: "of the patient in context",
    Context.USER: "that the signed-in user may see",
    Context.SYSTEM: "that this client is allowed",
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
    kinds = "all kinds of records" if scope.resource_type == ANY_TYPE else f"{scope.resource_type} records"
    where = [_condition(pair) for pair in scope.constraints]
    which = f" whose {_listed(where, 'and whose')}" if where else ""
    future = ", also of kinds added later" if scope.resource_type == ANY_TYPE else ""
    return f"{verbs.capitalize()} {kinds} {_WHOSE[scope.context]}{which}{future}."


def _condition(pair: Constraint) -> str:
    name = "kind" if pair.name == "_type" else pair.name.lstrip("_")
    return f"{name} is {_listed(pair.value.split(','), 'or')}"


def _listed(words: list[str], last: str) -> str:
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else words[0]
