"""Covers, intersection and the shortest form, by table and against a plain oracle over a tiny world."""

import itertools
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.scopes.algebra import covers, covers_any, intersect, intersect_scopes, normalise
from gateway.scopes.model import Constraint, Context, Letter, ResourceScope, Scope
from gateway.scopes.parse import parse_scope, parse_scopes
from gateway.scopes.unparse import unparse, unparse_scope
from gateway.scopes.v1 import v1_word
from tests.scopes import strategies


def one_resource_scope(text: str) -> ResourceScope:
    scope = parse_scope(text)
    assert isinstance(scope, ResourceScope)
    return scope


COVERS = {
    "a scope covers itself": ("patient/Observation.rs", "patient/Observation.rs", True),
    "a star covers a type": ("patient/*.rs", "patient/Observation.r", True),
    "a type does not cover the star": ("patient/Observation.rs", "patient/*.rs", False),
    "fewer letters do not cover more": ("patient/Observation.r", "patient/Observation.rs", False),
    "another context is another reach": ("user/*.rs", "patient/*.rs", False),
    "edge 57: v2 letters within a v1 word": ("patient/Observation.read", "patient/Observation.rs", True),
    "the unconstrained covers the constrained": ("patient/Observation.rs", "patient/Observation.rs?code=a", True),
    "the constrained does not cover the unconstrained": (
        "patient/Observation.rs?code=a",
        "patient/Observation.rs",
        False,
    ),
    "more demands are narrower": ("patient/Observation.rs?code=a", "patient/Observation.rs?code=a&status=final", True),
    "fewer alternatives are narrower": ("patient/Observation.rs?code=a,b", "patient/Observation.rs?code=a", True),
    "other alternatives are not": ("patient/Observation.rs?code=a,b", "patient/Observation.rs?code=c", False),
    "a modifier is another parameter": ("patient/Observation.rs?code:in=a", "patient/Observation.rs?code=a", False),
    "_type covers a type it names": ("patient/*.rs?_type=Patient,Observation", "patient/Patient.r", True),
    "_type does not cover another": ("patient/*.rs?_type=Patient", "patient/Observation.r", False),
    "a star held to types does not cover all": ("patient/*.rs?_type=Patient", "patient/*.rs", False),
    "fewer types are narrower": ("patient/*.rs?_type=Patient,Group", "patient/*.rs?_type=Group", True),
    "an escaped comma parts no alternatives": (
        r"patient/Observation.r?code=a,b",
        "patient/Observation.r?code=a%5C,b",
        False,
    ),
    "alternatives beside an escaped comma": ("patient/Group.r?code=a%5C,b,c", "patient/Group.r?code=a%5C,b", True),
    "not a is wider than neither a nor b": ("patient/Group.r?code:not=a,b", "patient/Group.r?code:not=a", False),
    "and is not said to be": ("patient/Group.r?code:not=a", "patient/Group.r?code:not=a,b", False),
    "a modifier covers itself": ("patient/Group.r?code:not=a", "patient/Group.r?code:not=a&status=x", True),
    "a filter is no list": ("patient/Group.r?_filter=a,b", "patient/Group.r?_filter=a", False),
    "SC-4: write does not cover read": ("patient/Group.write", "patient/Group.r", False),
    "launch is only launch": ("launch", "launch/patient", False),
    "a role is another wish": ("launch/list", "launch/list?role=x", False),
    "a resource scope covers no other kind": ("system/*.cruds", "launch", False),
}


@pytest.mark.requirement("SC-4", "edge-57")
@pytest.mark.parametrize(("wide", "narrow", "expected"), COVERS.values(), ids=COVERS)
def test_covers(wide: str, narrow: str, expected: bool) -> None:
    assert covers(parse_scope(wide), parse_scope(narrow)) is expected


def test_covers_reads_types_off_values_that_no_parser_made() -> None:
    """`_type:not=Patient` is refused when parsed; taken for `_type=Patient` it would turn round."""
    turned = ResourceScope(Context.SYSTEM, "*", frozenset({Letter.READ}), (Constraint("_type", "not", "Patient"),))
    assert not covers(turned, parse_scope("system/Patient.r"))
    both = intersect(turned, one_resource_scope("system/Patient.r"))
    assert both is not None
    assert both.constraints == turned.constraints


@pytest.mark.requirement("SC-30", "edge-103")
def test_edge_103_a_star_covers_types_that_come_later() -> None:
    later = replace(one_resource_scope("patient/Basic.rs"), resource_type="Citation")
    assert covers(parse_scope("patient/*.rs"), later)


def test_one_of_several_covers() -> None:
    held = parse_scopes("openid patient/Observation.r patient/*.s").scopes
    assert covers_any(held, parse_scope("patient/Observation.s"))
    assert not covers_any(held, parse_scope("patient/Observation.c"))
    assert not covers_any((), parse_scope("openid"))


INTERSECTIONS = {
    "edge 100: both constraints, not either": (
        "patient/Observation.rs?code=1234-5",
        "patient/Observation.rs?category=lab",
        "patient/Observation.rs?code=1234-5&category=lab",
    ),
    "edge 80: the star shrinks to what is allowed": ("system/*.rs", "system/Patient.rs", "system/Patient.rs"),
    "what is allowed wider is granted as asked": (
        "patient/Observation.read",
        "patient/*.cruds",
        "patient/Observation.read",
    ),
    "SC-11: v1 narrowed to what v1 cannot say is said in v2": (
        "patient/Observation.read",
        "patient/Observation.r",
        "patient/Observation.r",
    ),
    "SC-9: v1 stays v1 though it is allowed in v2": (
        "patient/*.read",
        "patient/Observation.rs patient/Condition.cruds",
        "patient/Observation.read patient/Condition.read",
    ),
    "SC-9: v2 stays v2 though it is allowed in v1": ("patient/*.rs", "patient/Group.read", "patient/Group.rs"),
    "SC-11: a v1 star narrowed to a v1 word": ("patient/Group.*", "patient/Group.cud", "patient/Group.write"),
    "edge 99: a v1 scope narrowed to a category has no wide scope beside it": (
        "patient/Observation.read",
        "patient/Observation.rs?category=http://c|laboratory",
        "patient/Observation.rs?category=http://c|laboratory",
    ),
    "edge 97: the wide scope of the request does not outlive a narrow limit": (
        "patient/Observation.rs patient/Observation.rs?category=lab",
        "patient/Observation.rs?category=lab",
        "patient/Observation.rs?category=lab",
    ),
    "edge 103: a star stays a star under stars": ("patient/*.rs", "patient/*.cruds", "patient/*.rs"),
    "the narrower list of alternatives is kept alone": (
        "patient/Group.rs?code=a,b&status=x",
        "patient/Group.rs?code=a",
        "patient/Group.rs?status=x&code=a",
    ),
    "a named type takes the place of _type": ("system/*.rs?_type=Patient,Group", "system/Group.r", "system/Group.r"),
    "a type that _type leaves out": ("system/*.rs?_type=Patient", "system/Group.r", ""),
    "the types that both name": (
        "system/*.rs?_type=Patient,Group,Basic",
        "system/*.rs?_type=Basic,Group",
        "system/*.rs?_type=Group,Basic",
    ),
    "no type that both name": ("system/*.rs?_type=Patient", "system/*.rs?_type=Group", ""),
    "SC-18: a context is never another": ("patient/*.rs", "user/*.rs system/*.rs", ""),
    "edge 101: nothing that can be granted": ("patient/Group.rs launch", "openid", ""),
    "nothing in common": ("patient/Observation.r", "patient/Observation.s", ""),
    "several limits, each its part": (
        "patient/*.rs",
        "patient/Observation.rs patient/Condition.r",
        "patient/Observation.rs patient/Condition.r",
    ),
    "other scopes must be allowed by name": ("openid launch/patient", "openid", "openid"),
}


@pytest.mark.requirement("SC-9", "SC-11", "SC-18", "SC-33", "edge-80", "edge-97", "edge-99", "edge-100", "edge-101")
@pytest.mark.parametrize(("requested", "allowed", "expected"), INTERSECTIONS.values(), ids=INTERSECTIONS)
def test_intersections(requested: str, allowed: str, expected: str) -> None:
    assert unparse(intersect_scopes(parse_scopes(requested).scopes, parse_scopes(allowed).scopes)) == expected


SHORTEST = {
    "SC-14: letters stand in their order": ("patient/Group.s patient/Group.c patient/Group.u", "patient/Group.cus"),
    "SC-14: a letter that another covers is dropped": ("patient/*.r patient/Group.rs", "patient/*.r patient/Group.s"),
    "edge 98: a letter that is covered only in part stays": (
        "patient/*.r?code=a patient/Group.rs",
        "patient/*.r?code=a patient/Group.rs",
    ),
    "SC-9: v1 words go as a whole or not at all": (
        "patient/*.r patient/Group.read",
        "patient/*.r patient/Group.read",
    ),
    "SC-9: v1 words that say it all are kept": ("patient/Group.r patient/Group.read", "patient/Group.read"),
    "SC-9: two v1 words make a third": ("patient/Group.read patient/Group.write", "patient/Group.*"),
    "v1 and v2 together are said in v2": ("patient/Group.read patient/Group.d", "patient/Group.rds"),
    "v1 and v2 together are said in v2, though v1 could": (
        "patient/Group.read patient/Group.cud",
        "patient/Group.cruds",
    ),
    "constraints in another order are the same": (
        "patient/Group.r?code=a&status=x patient/Group.s?status=x&code=a",
        "patient/Group.rs?code=a&status=x",
    ),
    "alternatives in another order are the same": (
        "patient/Group.r?code=a,b patient/Group.s?code=b,a",
        "patient/Group.rs?code=a,b",
    ),
    "a constraint that another implies is dropped": ("patient/Group.r?code=a,b&code=a", "patient/Group.r?code=a"),
    "other kinds stay in their places": (
        "launch patient/Group.r openid patient/*.r launch",
        "launch openid patient/*.r",
    ),
    "SC-14: letters come together": ("patient/Observation.r patient/Observation.s", "patient/Observation.rs"),
    "what another covers is dropped": ("patient/*.rs patient/Observation.r", "patient/*.rs"),
    "SC-16: the unconstrained wins": ("patient/Observation.rs?code=a patient/Observation.rs", "patient/Observation.rs"),
    "SC-15: letters do not borrow constraints": (
        "patient/Observation.r?code=a patient/Observation.s",
        "patient/Observation.r?code=a patient/Observation.s",
    ),
    "several cover one together": (
        "patient/*.r patient/*.s?code=a patient/Observation.rs?code=a",
        "patient/*.r patient/*.s?code=a",
    ),
}


@pytest.mark.requirement("SC-9", "SC-13", "SC-14", "SC-15", "SC-16", "edge-98")
@pytest.mark.parametrize(("text", "expected"), SHORTEST.values(), ids=SHORTEST)
def test_the_shortest_form(text: str, expected: str) -> None:
    short = normalise(parse_scopes(text).scopes)
    assert unparse(short) == expected
    assert parse_scopes(expected).scopes == short


# A tiny world: a thing is (context, type, letter, its codes, its status). A code can be there twice or not at all, so
# that `code=a&code=b` has something to find; Group stands for the types that no scope here names.
CODES: tuple[frozenset[str], ...] = (frozenset(), frozenset("a"), frozenset("b"), frozenset("ab"))
Thing = tuple[Context, str, Letter, frozenset[str], str]
WORLD: tuple[Thing, ...] = tuple(
    itertools.product(
        [Context.PATIENT, Context.USER],
        ["Patient", "Observation", "Group"],
        [Letter.CREATE, Letter.READ, Letter.SEARCH],
        CODES,
        "xy",
    )
)


def permitted(scopes: Iterable[Scope]) -> set[Thing]:
    """Everything in the world that some scope permits, one thing at a time."""
    return {thing for thing in WORLD for scope in scopes if isinstance(scope, ResourceScope) and _permits(scope, thing)}


def _permits(scope: ResourceScope, thing: Thing) -> bool:
    context, kind, letter, codes, status = thing
    having = {"code": codes, "status": {status}, "_type": {kind}}
    return (
        scope.context is context
        and scope.resource_type in {"*", kind}
        and letter in scope.letters
        and all(any(value in having[pair.name] for value in pair.value.split(",")) for pair in scope.constraints)
    )


def _pairs(name: str, *values: str) -> st.SearchStrategy[Constraint]:
    return st.builds(Constraint, st.just(name), st.none(), st.sampled_from(values))


def _built(context: Context, kind: str, held: frozenset[Letter], pairs: list[Constraint], v1: bool) -> ResourceScope:
    named = tuple(pair for pair in pairs if kind == "*" or pair.name != "_type")
    scope = ResourceScope(context, kind, held, named)
    return replace(scope, v1=v1 and v1_word(scope) is not None)


scopes = st.builds(
    _built,
    st.sampled_from([Context.PATIENT, Context.USER]),
    st.sampled_from(["*", "*", "Patient", "Observation"]),
    st.frozensets(st.sampled_from([Letter.CREATE, Letter.READ, Letter.SEARCH]), min_size=1)
    | st.just(frozenset({Letter.READ, Letter.SEARCH})),
    st.lists(
        _pairs("code", "a", "b", "a,b", "b,a")
        | _pairs("status", "x", "y", "x,y")
        | _pairs("_type", "Patient", "Observation,Patient"),
        max_size=3,
    ),
    st.booleans(),
)


@strategies.steady
@given(scopes, scopes)
def test_covers_never_claims_too_much(wide: ResourceScope, narrow: ResourceScope) -> None:
    if covers(wide, narrow):
        assert permitted((narrow,)) <= permitted((wide,))


@strategies.steady
@given(scopes, scopes, scopes)
def test_covers_is_reflexive_and_transitive(one: ResourceScope, two: ResourceScope, three: ResourceScope) -> None:
    assert covers(one, one)
    if covers(one, two) and covers(two, three):
        assert covers(one, three)


@pytest.mark.requirement("SC-33")
@strategies.steady
@given(scopes, scopes)
def test_an_intersection_is_exactly_what_both_permit(one: ResourceScope, other: ResourceScope) -> None:
    both = intersect(one, other)
    assert permitted((both,) if both else ()) == permitted((one,)) & permitted((other,))
    if both is not None:
        assert covers(one, both)
        assert covers(other, both)
        assert parse_scope(unparse_scope(both)) == both


@strategies.steady
@given(st.lists(scopes, max_size=4), st.lists(scopes, max_size=4))
def test_what_is_left_of_several_is_exactly_what_both_sides_permit(
    granted: list[ResourceScope], allowed: list[ResourceScope]
) -> None:
    assert permitted(intersect_scopes(granted, allowed)) == permitted(granted) & permitted(allowed)


@pytest.mark.requirement("SC-14")
@strategies.steady
@given(st.lists(scopes, max_size=5).map(tuple))
def test_the_shortest_form_keeps_the_meaning_and_is_its_own_shortest_form(several: tuple[ResourceScope, ...]) -> None:
    short = normalise(several)
    assert permitted(short) == permitted(several)
    assert len(unparse(short)) <= len(unparse(several))
    assert normalise(short) == short
    assert parse_scopes(unparse(short)).scopes == short


@strategies.steady
@given(strategies.resource_scopes, strategies.resource_scopes)
def test_no_scope_that_can_be_written_breaks_the_algebra(one: ResourceScope, other: ResourceScope) -> None:
    assert covers(one, one)
    assert normalise((one, one)) == normalise((one,))
    both = intersect(one, replace(other, context=one.context, resource_type="*"))
    if both is not None:
        assert covers(one, both)
