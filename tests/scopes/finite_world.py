"""A small finite world of permissions, to compare the scope algebra with plain set operations."""

import itertools
from collections.abc import Iterable
from dataclasses import replace

from hypothesis import strategies as st

from gateway.scopes.model import Constraint, Context, Letter, ResourceScope, Scope
from gateway.scopes.v1 import find_v1_word

# An item is (context, type, letter, codes, status). It can have no code or two, so that `code=a&code=b` can match.
# Group stands for the types that no scope here names.
CODES: tuple[frozenset[str], ...] = (frozenset(), frozenset("a"), frozenset("b"), frozenset("ab"))
Item = tuple[Context, str, Letter, frozenset[str], str]
WORLD: tuple[Item, ...] = tuple(
    itertools.product(
        [Context.PATIENT, Context.USER],
        ["Patient", "Observation", "Group"],
        [Letter.CREATE, Letter.READ, Letter.SEARCH],
        CODES,
        "xy",
    )
)


def permitted_items(scopes: Iterable[Scope]) -> set[Item]:
    """The items that at least one of the scopes permits."""
    return {item for item in WORLD for scope in scopes if isinstance(scope, ResourceScope) and _permits(scope, item)}


def _permits(scope: ResourceScope, item: Item) -> bool:
    context, resource_type, letter, codes, status = item
    values = {"code": codes, "status": {status}, "_type": {resource_type}}
    return (
        scope.context is context
        and scope.resource_type in {"*", resource_type}
        and letter in scope.letters
        and all(
            any(value in values[constraint.name] for value in constraint.value.split(","))
            for constraint in scope.constraints
        )
    )


def _constraints(name: str, *values: str) -> st.SearchStrategy[Constraint]:
    return st.builds(Constraint, st.just(name), st.none(), st.sampled_from(values))


def _build_scope(
    context: Context, resource_type: str, letters: frozenset[Letter], constraints: list[Constraint], is_v1: bool
) -> ResourceScope:
    applicable = tuple(pair for pair in constraints if resource_type == "*" or pair.name != "_type")
    scope = ResourceScope(context, resource_type, letters, applicable)
    return replace(scope, is_v1=is_v1 and find_v1_word(scope) is not None)


# Hypothesis strategy for scopes of the world.
world_scopes = st.builds(
    _build_scope,
    st.sampled_from([Context.PATIENT, Context.USER]),
    st.sampled_from(["*", "*", "Patient", "Observation"]),
    st.frozensets(st.sampled_from([Letter.CREATE, Letter.READ, Letter.SEARCH]), min_size=1)
    | st.just(frozenset({Letter.READ, Letter.SEARCH})),
    st.lists(
        _constraints("code", "a", "b", "a,b", "b,a")
        | _constraints("status", "x", "y", "x,y")
        | _constraints("_type", "Patient", "Observation,Patient"),
        max_size=3,
    ),
    st.booleans(),
)
