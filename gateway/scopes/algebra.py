"""What one scope says about another: covers, intersection, the shortest form of several (checklist 3.2, SC-13..SC-18).

A constraint is read as what it demands: every pair of it, each pair any of its comma-separated values. All answers are
on the safe side: `covers` is true only where it is certain, and an intersection permits nothing that both do not.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from gateway.scopes.model import ANY_TYPE, Constraint, ResourceScope, Scope
from gateway.scopes.v1 import v1_word
from gateway.scopes.values import alternatives

# A comma in their values does not part alternatives (R4 Search 3.1.1.5.6, 3.1.3).
_NO_LIST = frozenset({"_filter", "_query", "_text", "_content"})


def covers(wide: Scope, narrow: Scope) -> bool:
    """Whether everything that `narrow` permits is certainly permitted by `wide`."""
    if not isinstance(wide, ResourceScope) or not isinstance(narrow, ResourceScope):
        return wide == narrow
    return narrow.letters <= wide.letters and _reaches(wide, narrow)


def covers_any(scopes: Iterable[Scope], narrow: Scope) -> bool:
    """Whether one of the scopes covers `narrow`."""
    return any(covers(wide, narrow) for wide in scopes)


def intersect(one: ResourceScope, other: ResourceScope) -> ResourceScope | None:
    """What both permit: the narrower type, the common letters, both constraints; None where that is nothing.

    It is said in the words of `one`: v1 where that was v1 and v1 can say it (SC-9, SC-11).
    """
    letters = one.letters & other.letters
    types = {one.resource_type, other.resource_type} - {ANY_TYPE}
    if one.context is not other.context or not letters or len(types) > 1:
        return None
    resource_type = types.pop() if types else ANY_TYPE
    constraints = _with_common_types((*one.constraints, *other.constraints), resource_type)
    if constraints is None:
        return None
    both = ResourceScope(one.context, resource_type, letters, _least(constraints), v1=one.v1)
    return both if v1_word(both) else replace(both, v1=False)


def intersect_scopes(granted: Iterable[Scope], allowed: Iterable[Scope]) -> tuple[Scope, ...]:
    """What is granted and allowed too, in the order and the words of what is granted where those survive (SC-33).

    The cost is the product of the two counts: `allowed` is meant to be a configuration, not a request.
    """
    limits = tuple(allowed)
    named = frozenset(limits)
    kept: list[Scope] = []
    for scope in granted:
        if scope in named or covers_any(limits, scope):
            kept.append(scope)
        elif isinstance(scope, ResourceScope):
            parts = (intersect(scope, limit) for limit in limits if isinstance(limit, ResourceScope))
            kept += [part for part in parts if part is not None]
    return normalise(kept)


def normalise(scopes: Iterable[Scope]) -> tuple[Scope, ...]:
    """The shortest factored form (SC-14): letters of like scopes together, no letter that other scopes cover.

    A scope in v1 words goes as a whole or stays as it is, so that it is answered in the same words (SC-9). The cost
    grows with the square of the number: a hundred scopes take milliseconds, a thousand made for it take seconds.
    """
    merged: dict[object, Scope] = {}
    for scope in scopes:
        if not isinstance(scope, ResourceScope):
            merged.setdefault(scope, scope)
            continue
        short = replace(scope, constraints=_least(scope.constraints))
        key = (short.context, short.resource_type, frozenset(map(_demand, short.constraints)))
        known = merged.get(key)
        merged[key] = _joined(known, short) if isinstance(known, ResourceScope) else short
    return _without_needless(list(merged.values()))


def _joined(one: ResourceScope, other: ResourceScope) -> ResourceScope:
    """One scope for two that differ in letters only, in the words of either if that says it all."""
    letters = one.letters | other.letters
    for whole in (one, other):
        if letters == whole.letters:
            return whole
    return replace(one, letters=letters, v1=one.v1 and other.v1)


def _without_needless(scopes: list[Scope]) -> tuple[Scope, ...]:
    """The last is looked at first: of two that cover each other the earlier one stays."""
    kept = {place: scope for place, scope in enumerate(scopes) if isinstance(scope, ResourceScope)}
    for place, scope in reversed(list(kept.items())):
        others = [one.letters for at, one in kept.items() if at != place and _reaches(one, scope)]
        needed = scope.letters.difference(*others)
        if not needed:
            del kept[place]
        elif not scope.v1:
            kept[place] = replace(scope, letters=needed)
    return tuple(
        kept.get(place, scope)
        for place, scope in enumerate(scopes)
        if place in kept or not isinstance(scope, ResourceScope)
    )


def _reaches(wide: ResourceScope, narrow: ResourceScope) -> bool:
    """Whether `wide` covers `narrow`, letters aside."""
    return (
        wide.context is narrow.context
        and wide.resource_type in {ANY_TYPE, narrow.resource_type}
        and all(_is_demanded(pair, narrow) for pair in wide.constraints)
    )


def _is_demanded(pair: Constraint, narrow: ResourceScope) -> bool:
    """Whether `narrow` demands at least what `pair` does."""
    if _names_types(pair) and narrow.resource_type != ANY_TYPE:
        return narrow.resource_type in alternatives(pair.value)
    return any(_implies(one, pair) for one in narrow.constraints)


def _implies(one: Constraint, other: Constraint) -> bool:
    """Whether the same parameter is held to some of the same values."""
    return one.name == other.name and one.modifier == other.modifier and _demand(one)[2] <= _demand(other)[2]


@lru_cache(maxsize=4096)
def _demand(pair: Constraint) -> tuple[str, str | None, frozenset[str]]:
    """The parameter and its alternatives. With a modifier the value is one: `:not=a` is wider than `:not=a,b`."""
    whole = pair.modifier is not None or pair.name in _NO_LIST
    return pair.name, pair.modifier, frozenset({pair.value} if whole else alternatives(pair.value))


def _least(pairs: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    """The pairs in order, without those that another one implies; of equals the first stays."""
    return tuple(
        pair
        for place, pair in enumerate(pairs)
        if not any(
            at != place and _implies(one, pair) and (at < place or not _implies(pair, one))
            for at, one in enumerate(pairs)
        )
    )


def _names_types(pair: Constraint) -> bool:
    """Whether it is `_type=A,B`, which restricts a wildcard scope (enforcement.md 8)."""
    return pair.name == "_type" and pair.modifier is None


def _with_common_types(pairs: tuple[Constraint, ...], resource_type: str) -> tuple[Constraint, ...] | None:
    """The pairs with at most one `_type`, and none for a single type; None where they leave no type at all."""
    named = [alternatives(pair.value) for pair in pairs if _names_types(pair)]
    if not named:
        return pairs
    common = [one for one in named[0] if all(one in types for types in named)]
    rest = tuple(pair for pair in pairs if not _names_types(pair))
    if resource_type != ANY_TYPE:
        return rest if resource_type in common else None
    return (Constraint("_type", None, ",".join(common)), *rest) if common else None
