"""What a token may export: the resources that a `system/` scope of its own may both read and search.

No user stands behind a bulk export, so scopes of the other contexts do not count (enforcement.md 4).
"""

from dataclasses import replace

from gateway.policy.permission.grant import Grant
from gateway.policy.permission.permission import Permission, combine_units
from gateway.policy.permission.unit import Unit
from gateway.scopes.model import ANY_TYPE, Context, Letter
from gateway.scopes.resource_types import RESOURCE_TYPES

_LETTERS = frozenset({Letter.READ, Letter.SEARCH})


def export_permission(grant: Grant, resource_type: str) -> Permission:
    """The permission to export resources of the type.

    Two scopes give it together only if one of them covers the whole type: letters are not combined across constraints
    (SC-15).
    """
    read, search = (_system_units(grant, resource_type, letter) for letter in (Letter.READ, Letter.SEARCH))
    if any(unit.is_unconstrained for unit in read):
        units = search
    elif any(unit.is_unconstrained for unit in search):
        units = read
    else:
        units = tuple(unit for unit in read if unit.scope is not None and unit.scope.letters >= _LETTERS)
    return combine_units(resource_type, tuple(_limit(unit, grant) for unit in units))


def exports_everything(grant: Grant) -> bool:
    """Whether every resource of every type may be exported, so that no file has to be judged."""
    letters = [
        scope.letters
        for scope in grant.resource_scopes
        if scope.context is Context.SYSTEM and scope.resource_type == ANY_TYPE and not scope.constraints
    ]
    return frozenset[Letter]().union(*letters) >= _LETTERS and not grant.record_rules_for(_LETTERS)


def exportable_types(grant: Grant) -> frozenset[str]:
    """The types of which anything may be exported."""
    return frozenset(name for name in RESOURCE_TYPES if export_permission(grant, name))


def _limit(unit: Unit, grant: Grant) -> Unit:
    """The unit under the record rules of both letters."""
    if not grant.rules.record_rules:
        return unit
    rules = tuple(rule for letter in sorted(_LETTERS) for rule in grant.record_rules_for(frozenset({letter})))
    return replace(unit, record_rules=rules)


def _system_units(grant: Grant, resource_type: str, letter: Letter) -> tuple[Unit, ...]:
    return tuple(
        unit
        for unit in grant.permission_for(resource_type, letter).units
        if unit.scope is not None and unit.scope.context is Context.SYSTEM
    )
