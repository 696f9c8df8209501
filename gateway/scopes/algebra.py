"""Relations between scopes: coverage, intersection, and the shortest form of several (checklist 3.2, SC-13..SC-18).

Constraints are combined with AND, the comma-separated values of one constraint with OR. The results are on the safe
side: `covers` is true only if it is certain, and an intersection permits only what both scopes permit.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from gateway.scopes.constraint_value_syntax import split_alternatives
from gateway.scopes.coverage_index import (
    CoverageIndex,
    covers_apart_from_letters,
    get_requirement,
    get_requirements,
    implies,
)
from gateway.scopes.model import ANY_TYPE, Constraint, Context, ResourceScope, Scope
from gateway.scopes.parse_scopes import MAX_SCOPES
from gateway.scopes.v1 import find_v1_word


class TooManyScopesError(Exception):
    """An intersection has more scopes than a scope string may have."""


def covers(wide: Scope, narrow: Scope) -> bool:
    """Whether `wide` certainly permits everything that `narrow` permits."""
    if not isinstance(wide, ResourceScope) or not isinstance(narrow, ResourceScope):
        return wide == narrow
    return narrow.letters <= wide.letters and covers_apart_from_letters(
        wide, get_requirements(wide), narrow, get_requirements(narrow)
    )


def covers_all(scopes: Iterable[Scope], several: Iterable[Scope]) -> bool:
    """Whether each one of `several` is covered by one of the scopes."""
    return all(map(_Cover(scopes).covers, several))


class _Cover:
    """Tells whether one of its scopes covers another scope."""

    def __init__(self, scopes: Iterable[Scope]) -> None:
        self._scopes = frozenset(scopes)
        self._index = CoverageIndex(scope for scope in self._scopes if isinstance(scope, ResourceScope))

    def covers(self, narrow: Scope) -> bool:
        return narrow in self._scopes or (
            isinstance(narrow, ResourceScope)
            and any(
                narrow.letters <= self._index.scopes[position].letters for position in self._index.find_covering(narrow)
            )
        )


def intersect(first: ResourceScope, second: ResourceScope) -> ResourceScope | None:
    """The scope that both permit: the narrower type, the common letters, the constraints of both. None if empty.

    It has the form of `first`: v1 if `first` is v1 and SMART 1.0 has the permission (SC-9, SC-11).
    """
    letters = first.letters & second.letters
    types = {first.resource_type, second.resource_type} - {ANY_TYPE}
    if first.context is not second.context or not letters or len(types) > 1:
        return None
    resource_type = types.pop() if types else ANY_TYPE
    constraints = _merge_type_lists((*first.constraints, *second.constraints), resource_type)
    if constraints is None:
        return None
    common = ResourceScope(first.context, resource_type, letters, _drop_implied(constraints), is_v1=first.is_v1)
    return common if find_v1_word(common) else replace(common, is_v1=False)


def intersect_scopes(granted: Iterable[Scope], allowed: Iterable[Scope]) -> tuple[Scope, ...]:
    """The granted scopes, limited to the allowed ones, in the order and, if possible, in the form of `granted` (SC-33).

    Raises `TooManyScopesError`: where scopes on both sides overlap in part, each pair of them makes a scope.
    """
    limits = tuple(allowed)
    cover = _Cover(limits)
    by_type: defaultdict[tuple[Context, str], list[ResourceScope]] = defaultdict(list)
    for limit in limits:
        if isinstance(limit, ResourceScope):
            by_type[limit.context, limit.resource_type].append(limit)
            by_type[limit.context, ""].append(limit)
    kept: list[Scope] = []
    for scope in granted:
        if cover.covers(scope):
            kept.append(scope)
        elif isinstance(scope, ResourceScope):
            # A scope for all types meets those of every type, another one those of its own and those for all types.
            types = ("",) if scope.resource_type == ANY_TYPE else (scope.resource_type, ANY_TYPE)
            for limit in (limit for name in types for limit in by_type.get((scope.context, name), ())):
                common = intersect(scope, limit)
                kept += () if common is None else (common,)
                if len(kept) > MAX_SCOPES:
                    raise TooManyScopesError
    return normalise(kept)


def normalise(scopes: Iterable[Scope]) -> tuple[Scope, ...]:
    """The shortest form of several scopes (SC-14): letters are merged, and letters that other scopes cover are removed.

    A v1 scope is removed as a whole or not changed, so that the response has the requested form (SC-9).
    """
    merged: dict[object, Scope] = {}
    for scope in scopes:
        if not isinstance(scope, ResourceScope):
            merged.setdefault(scope, scope)
            continue
        constraints = _drop_implied(scope.constraints)
        minimal = scope if constraints == scope.constraints else replace(scope, constraints=constraints)
        key = (minimal.context, minimal.resource_type, frozenset(get_requirements(minimal)))
        earlier = merged.get(key)
        merged[key] = _merge_letters(earlier, minimal) if isinstance(earlier, ResourceScope) else minimal
    return _drop_redundant(list(merged.values()))


def _merge_letters(first: ResourceScope, second: ResourceScope) -> ResourceScope:
    """Merge two scopes that differ only in their letters. If one has all the letters, it is returned unchanged."""
    letters = first.letters | second.letters
    for scope in (first, second):
        if letters == scope.letters:
            return scope
    return replace(first, letters=letters, is_v1=first.is_v1 and second.is_v1)


def _drop_redundant(scopes: list[Scope]) -> tuple[Scope, ...]:
    """Remove letters that other scopes cover. Of two scopes that cover each other the earlier one is kept."""
    kept = {index: scope for index, scope in enumerate(scopes) if isinstance(scope, ResourceScope)}
    positions = tuple(kept)
    coverage = CoverageIndex(kept.values())
    for index, scope in reversed(list(kept.items())):
        remaining_letters = scope.letters
        for position in coverage.find_covering(scope):
            other = kept.get(positions[position])
            if other is not None and other is not scope:
                remaining_letters -= other.letters
            if not remaining_letters:
                del kept[index]
                break
        else:
            if not scope.is_v1 and remaining_letters != scope.letters:
                kept[index] = replace(scope, letters=remaining_letters)
    return tuple(
        kept.get(index, scope)
        for index, scope in enumerate(scopes)
        if index in kept or not isinstance(scope, ResourceScope)
    )


def _drop_implied(constraints: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    """The constraints in order, without those that another one implies. Of equal ones the first is kept."""
    if len(constraints) < 2:
        return constraints
    requirements = list(map(get_requirement, constraints))
    return tuple(
        constraint
        for index, (constraint, requirement) in enumerate(zip(constraints, requirements, strict=True))
        if not any(
            other_index != index
            and implies(other, requirement)
            and (other_index < index or not implies(requirement, other))
            for other_index, other in enumerate(requirements)
        )
    )


def _is_type_list(constraint: Constraint) -> bool:
    return constraint.name == "_type" and constraint.modifier is None


def _merge_type_lists(constraints: tuple[Constraint, ...], resource_type: str) -> tuple[Constraint, ...] | None:
    """Merge `_type` constraints into one, or remove them for a single type. None if no type is left."""
    type_lists = [split_alternatives(constraint.value) for constraint in constraints if _is_type_list(constraint)]
    if not type_lists:
        return constraints
    common_types = [name for name in type_lists[0] if all(name in types for types in type_lists)]
    other_constraints = tuple(constraint for constraint in constraints if not _is_type_list(constraint))
    if resource_type != ANY_TYPE:
        return other_constraints if resource_type in common_types else None
    return (Constraint("_type", None, ",".join(common_types)), *other_constraints) if common_types else None
