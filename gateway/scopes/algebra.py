"""What one scope says about another: covers, intersection, the shortest form of several (checklist 3.2, SC-13..SC-18).

A constraint is read as what it demands: every pair of it, each pair any of its comma-separated values. All answers are
on the safe side: `covers` is true only where it is certain, and an intersection permits nothing that both do not.
"""

from collections.abc import Iterable

from gateway.scopes.model import ANY_TYPE, Constraint, Letter, ResourceScope, Scope


def covers(wide: Scope, narrow: Scope) -> bool:
    """Whether everything that `narrow` permits is certainly permitted by `wide`."""
    if not isinstance(wide, ResourceScope) or not isinstance(narrow, ResourceScope):
        return wide == narrow
    return (
        wide.context is narrow.context
        and wide.resource_type in {ANY_TYPE, narrow.resource_type}
        and narrow.letters <= wide.letters
        and all(_is_demanded(pair, narrow) for pair in wide.constraints)
    )


def _is_demanded(pair: Constraint, narrow: ResourceScope) -> bool:
    """Whether `narrow` demands at least what `pair` does: the same parameter, held to some of the same values."""
    if pair.name == "_type" and narrow.resource_type != ANY_TYPE:
        return narrow.resource_type in pair.value.split(",")
    return any(
        (one.name, one.modifier) == (pair.name, pair.modifier) and _values(one) <= _values(pair)
        for one in narrow.constraints
    )


def _values(pair: Constraint) -> frozenset[str]:
    """The alternatives of a value; one that holds an escape is taken whole, to be on the safe side."""
    return frozenset({pair.value} if "\\" in pair.value else pair.value.split(","))


def covers_any(scopes: Iterable[Scope], narrow: Scope) -> bool:
    """Whether one of the scopes covers `narrow`."""
    return any(covers(wide, narrow) for wide in scopes)


def intersect(one: ResourceScope, other: ResourceScope) -> ResourceScope | None:
    """What both permit: the narrower type, the common letters, both constraints; None where that is nothing."""
    letters = one.letters & other.letters
    types = {one.resource_type, other.resource_type} - {ANY_TYPE}
    if one.context is not other.context or not letters or len(types) > 1:
        return None
    resource_type = types.pop() if types else ANY_TYPE
    constraints = tuple(dict.fromkeys((*one.constraints, *other.constraints)))
    if resource_type != ANY_TYPE:
        named = [pair for pair in constraints if pair.name == "_type"]
        if any(resource_type not in pair.value.split(",") for pair in named):
            return None
        constraints = tuple(pair for pair in constraints if pair.name != "_type")
    return ResourceScope(one.context, resource_type, letters, constraints, v1=one.v1 and other.v1)


def intersect_scopes(requested: Iterable[Scope], allowed: Iterable[Scope]) -> tuple[Scope, ...]:
    """What is requested and allowed, in the order and the words of the request where those survive (SC-33)."""
    limits = tuple(allowed)
    kept: list[Scope] = []
    for scope in requested:
        if covers_any(limits, scope):
            kept.append(scope)
        elif isinstance(scope, ResourceScope):
            parts = (intersect(scope, limit) for limit in limits if isinstance(limit, ResourceScope))
            kept += [part for part in parts if part is not None]
    return normalise(kept)


def normalise(scopes: Iterable[Scope]) -> tuple[Scope, ...]:
    """The shortest factored form (SC-14): letters of like scopes together, nothing that another scope covers."""
    merged: dict[object, Scope] = {}
    for scope in scopes:
        if not isinstance(scope, ResourceScope):
            merged.setdefault(scope, scope)
            continue
        key = (scope.context, scope.resource_type, frozenset(scope.constraints))
        merged[key] = _joined(merged[key], scope) if key in merged else scope
    kept = list(merged.values())
    # The last first: of two that cover each other the earlier one stays.
    for scope in reversed(list(kept)):
        if _is_needless(scope, [one for one in kept if one is not scope]):
            kept.remove(scope)
    return tuple(kept)


def _joined(one: Scope, other: ResourceScope) -> ResourceScope:
    assert isinstance(one, ResourceScope)
    letters = one.letters | other.letters
    return ResourceScope(one.context, one.resource_type, letters, one.constraints, v1=one.v1 and other.v1)


def _is_needless(scope: Scope, others: list[Scope]) -> bool:
    """Whether others cover the scope, letter by letter."""
    if not isinstance(scope, ResourceScope):
        return False
    return all(covers_any(others, _with_letter(scope, letter)) for letter in scope.letters)


def _with_letter(scope: ResourceScope, letter: Letter) -> ResourceScope:
    return ResourceScope(scope.context, scope.resource_type, frozenset({letter}), scope.constraints)
