"""Finds the scopes of a set that cover another one, without a comparison with each of them.

Requests choose how many scopes there are, so comparing each with each would let a request of 300 scopes take the time
of 90,000 comparisons.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from gateway.scopes.constraint_value_syntax import split_alternatives
from gateway.scopes.model import ANY_TYPE, Constraint, Context, ResourceScope

# Commas in the values of these parameters do not separate alternatives (R4 Search 3.1.1.5.6, 3.1.3).
_NO_ALTERNATIVES = frozenset({"_filter", "_query", "_text", "_content"})

Requirement = tuple[str, str | None, frozenset[str]]
"""What a constraint demands: parameter, modifier and alternatives."""
_Key = tuple[Context, str] | tuple[Context, str, str, str | None, str]


def get_requirement(constraint: Constraint) -> Requirement:
    """The parameter, the modifier and the alternatives.

    A value with a modifier is not split, because `:not=a` is wider than `:not=a,b`.
    """
    is_single_value = constraint.modifier is not None or constraint.name in _NO_ALTERNATIVES
    return (
        constraint.name,
        constraint.modifier,
        frozenset((constraint.value,) if is_single_value else split_alternatives(constraint.value)),
    )


def get_requirements(scope: ResourceScope) -> tuple[Requirement, ...]:
    """What the constraints of a scope demand, in order."""
    return tuple(map(get_requirement, scope.constraints))


def implies(narrow: Requirement, wide: Requirement) -> bool:
    """Whether `narrow` restricts the same parameter to a subset of the values of `wide`."""
    return narrow[0] == wide[0] and narrow[1] == wide[1] and narrow[2] <= wide[2]


def is_type_list(requirement: Requirement) -> bool:
    """Whether it is `_type=A,B`, which restricts a wildcard scope (enforcement.md 8)."""
    return requirement[0] == "_type" and requirement[1] is None


def covers_apart_from_letters(
    wide: ResourceScope,
    wide_requirements: tuple[Requirement, ...],
    narrow: ResourceScope,
    narrow_requirements: tuple[Requirement, ...],
) -> bool:
    """Whether `wide` covers `narrow`, apart from the letters. The requirements are those of their constraints."""
    return (
        wide.context is narrow.context
        and wide.resource_type in (ANY_TYPE, narrow.resource_type)
        and all(
            narrow.resource_type in required[2]
            if is_type_list(required) and narrow.resource_type != ANY_TYPE
            else any(implies(requirement, required) for requirement in narrow_requirements)
            for required in wide_requirements
        )
    )


class CoverageIndex:
    """The scopes that cover a scope apart from its letters, by their positions in the given order.

    A scope covers another only if each of its constraints is implied by one of the other's, which then has an
    alternative in common with it. So it is filed under the alternatives of one of its constraints, the one that it
    shares with the fewest scopes, and found by the alternative of the other that has the fewest scopes.
    """

    def __init__(self, scopes: Iterable[ResourceScope]) -> None:
        self.scopes = tuple(scopes)
        self._requirements = tuple(map(get_requirements, self.scopes))
        self._positions: defaultdict[_Key, list[int]] = defaultdict(list)
        frequencies = Counter(
            key
            for scope, requirements in zip(self.scopes, self._requirements, strict=True)
            for requirement in requirements
            for key in _keys(scope.context, scope.resource_type, requirement)
        )
        for position, (scope, requirements) in enumerate(zip(self.scopes, self._requirements, strict=True)):
            head = scope.context, scope.resource_type
            key_sets = [_keys(*head, requirement) for requirement in requirements]
            rarest = min(key_sets, key=lambda keys: max(map(frequencies.__getitem__, keys)), default=[head])
            for key in rarest:
                self._positions[key].append(position)

    def find_covering(self, narrow: ResourceScope) -> Iterator[int]:
        """The positions of the scopes that cover `narrow` apart from its letters, itself included."""
        requirements = get_requirements(narrow)
        for position in self._candidates(narrow, requirements):
            if covers_apart_from_letters(self.scopes[position], self._requirements[position], narrow, requirements):
                yield position

    def _candidates(self, narrow: ResourceScope, requirements: tuple[Requirement, ...]) -> Iterator[int]:
        for resource_type in dict.fromkeys((ANY_TYPE, narrow.resource_type)):
            head = narrow.context, resource_type
            yield from self._positions.get(head, ())
            if narrow.resource_type != ANY_TYPE:
                yield from self._positions.get((*head, "_type", None, narrow.resource_type), ())
            for requirement in requirements:
                filed = [self._positions.get(key, ()) for key in _keys(*head, requirement)]
                yield from min(filed, key=len)


def _keys(context: Context, resource_type: str, requirement: Requirement) -> list[_Key]:
    name, modifier, alternatives = requirement
    return [(context, resource_type, name, modifier, alternative) for alternative in alternatives]
