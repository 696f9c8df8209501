"""Coverage of one scope by others: a table, and properties over a finite world."""

from dataclasses import replace

import pytest
from hypothesis import given

from gateway.scopes.algebra import covers, covers_all, intersect, normalise
from gateway.scopes.model import Constraint, Context, Letter, ResourceScope
from gateway.scopes.parse_scopes import parse_scope, parse_scopes
from tests.scopes import strategies
from tests.scopes.finite_world import permitted_items, world_scopes


def parse_resource_scope(text: str) -> ResourceScope:
    """Parse a scope that must be a resource scope."""
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
    """`_type:not=Patient` is refused when parsed. Treated as `_type=Patient` it would permit the opposite."""
    negated = ResourceScope(Context.SYSTEM, "*", frozenset({Letter.READ}), (Constraint("_type", "not", "Patient"),))
    assert not covers(negated, parse_scope("system/Patient.r"))
    common = intersect(negated, parse_resource_scope("system/Patient.r"))
    assert common is not None
    assert common.constraints == negated.constraints


@pytest.mark.requirement("SC-30", "edge-103")
def test_edge_103_a_star_covers_types_that_come_later() -> None:
    later = replace(parse_resource_scope("patient/Basic.rs"), resource_type="Citation")
    assert covers(parse_scope("patient/*.rs"), later)


def test_one_of_several_covers() -> None:
    held = parse_scopes("openid patient/Observation.r patient/*.s").scopes
    assert covers_all(held, [parse_scope("patient/Observation.s")])
    assert not covers_all(held, [parse_scope("patient/Observation.c")])
    assert not covers_all((), [parse_scope("openid")])


@strategies.steady
@given(world_scopes, world_scopes)
def test_covers_never_claims_too_much(wide: ResourceScope, narrow: ResourceScope) -> None:
    if covers(wide, narrow):
        assert permitted_items((narrow,)) <= permitted_items((wide,))


@strategies.steady
@given(world_scopes, world_scopes, world_scopes)
def test_covers_is_reflexive_and_transitive(first: ResourceScope, second: ResourceScope, third: ResourceScope) -> None:
    assert covers(first, first)
    if covers(first, second) and covers(second, third):
        assert covers(first, third)


@strategies.steady
@given(strategies.resource_scopes, strategies.resource_scopes)
def test_no_scope_that_can_be_written_breaks_the_algebra(first: ResourceScope, second: ResourceScope) -> None:
    assert covers(first, first)
    assert normalise((first, first)) == normalise((first,))
    common = intersect(first, replace(second, context=first.context, resource_type="*"))
    if common is not None:
        assert covers(first, common)
