"""May a token use a piece of app state? The app's codes and one scope of the token must both say so.

A patient/ scope is about the patient in context, a user/ scope about the user and about state without a subject, and a
system/ scope about state without a subject. State about anybody else is nobody's (checklist AS-14, AS-17).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, assert_never

from gateway.fhir.app_state.state_codes import StateAddress, StateCodes, StateUse
from gateway.fhir.reference import Reference
from gateway.policy.decision.missing_scope import deny_missing_scope
from gateway.policy.decision_types import Deny
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.reach import Everything
from gateway.policy.permission.unit import Unit, compile_unit
from gateway.policy.reasons import Reason
from gateway.scopes.model import ANY_TYPE, Context, Letter, ResourceScope

_BASIC = "Basic"


def refuse_without_scope(grant: Grant, letter: Letter) -> Deny | None:
    """The refusal of a token none of whose scopes has the letter for Basic."""
    return None if any(_scopes(grant, letter)) else deny_missing_scope(grant, _BASIC, letter)


def refuse_address(grant: Grant, codes: Iterable[StateCodes], address: StateAddress, letter: Letter) -> Deny | None:
    """The refusal of state that the app is not trusted with, or that is about somebody else than the token."""
    needed = StateUse.QUERY if letter is Letter.SEARCH else StateUse.MODIFY
    is_trusted = any(code.permits(address, needed) for code in codes)
    if is_trusted and any(_is_about(scope, grant.access, address.subject) for scope in _scopes(grant, letter)):
        return None
    return Deny(Reason.APP_STATE_OUT_OF_REACH)


def permits_state(grant: Grant, address: StateAddress, letter: Letter, resource: Mapping[str, Any]) -> bool:
    """Whether one scope reaches the address and all its constraints, and every record rule, permit the resource."""
    return any(unit.permits(resource) for unit in _units(grant, address, letter))


def _units(grant: Grant, address: StateAddress, letter: Letter) -> Iterator[Unit]:
    rules = grant.record_rules_for(frozenset({letter}))
    for scope in _scopes(grant, letter):
        if _is_about(scope, grant.access, address.subject):
            unit = compile_unit(scope, _BASIC, Everything(), grant.rules)
            if isinstance(unit, Unit):
                yield replace(unit, record_rules=rules)


def _scopes(grant: Grant, letter: Letter) -> Iterator[ResourceScope]:
    for scope in grant.resource_scopes:
        if scope.resource_type in {ANY_TYPE, _BASIC} and letter in scope.letters:
            yield scope


def _is_about(scope: ResourceScope, access: Access, subject: Reference | None) -> bool:
    match scope.context:
        case Context.PATIENT:
            return access.patient is not None and subject == Reference("Patient", access.patient)
        case Context.USER:
            return subject is None or (access.user is not None and subject == replace(access.user, version_id=None))
        case Context.SYSTEM:
            return subject is None
    assert_never(scope.context)
