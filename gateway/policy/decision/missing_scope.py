"""Refusals for a missing scope, and the choice of the types that a search over several types may cover."""

from gateway.policy.decision_types import Deny
from gateway.policy.permission.grant import Grant
from gateway.policy.reasons import Reason
from gateway.scopes.model import Context, Letter


def deny_missing_scope(grant: Grant, resource_type: str, letter: Letter) -> Deny:
    """The refusal of a request for which the token has no unit, with a scope that would permit it if there is one."""
    reason = grant.refusal_reason(resource_type, letter)
    context = grant.resource_scopes[0].context if grant.resource_scopes else Context.PATIENT
    scope = f"{context}/{resource_type}.{letter}" if reason is Reason.SCOPE_INSUFFICIENT else ""
    return Deny(reason, offender=resource_type, required_scope=scope)


def select_types(requested_types: tuple[str, ...], grant: Grant) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split the requested types (empty: all) into those that the token can search, and a note for each other one."""
    if grant.reads_everything:
        return requested_types, ()
    if not requested_types:
        return tuple(sorted(grant.searchable_types)), ()
    types_in_reach = tuple(name for name in requested_types if grant.search_permission(name))
    return types_in_reach, tuple(f"_type={name}" for name in requested_types if name not in types_in_reach)


def deny_all_types(requested_types: tuple[str, ...], grant: Grant) -> Deny:
    """The refusal of a search for which the token can search none of the requested types (empty: all)."""
    if not requested_types:
        return Deny(Reason.SCOPE_INSUFFICIENT)
    return deny_missing_scope(grant, requested_types[0], Letter.SEARCH)
