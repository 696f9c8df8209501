"""Intersection of scopes: a table, and properties over a finite world."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.scopes.algebra import covers, intersect, intersect_scopes
from gateway.scopes.format_scopes import format_scope, format_scopes
from gateway.scopes.model import ResourceScope
from gateway.scopes.parse_scopes import parse_scope, parse_scopes
from tests.scopes import strategies
from tests.scopes.finite_world import permitted_items, world_scopes

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
    assert format_scopes(intersect_scopes(parse_scopes(requested).scopes, parse_scopes(allowed).scopes)) == expected


@pytest.mark.requirement("SC-33")
@strategies.steady
@given(world_scopes, world_scopes)
def test_an_intersection_is_exactly_what_both_permit(first: ResourceScope, second: ResourceScope) -> None:
    common = intersect(first, second)
    assert permitted_items((common,) if common else ()) == permitted_items((first,)) & permitted_items((second,))
    if common is not None:
        assert covers(first, common)
        assert covers(second, common)
        assert parse_scope(format_scope(common)) == common


@strategies.steady
@given(st.lists(world_scopes, max_size=4), st.lists(world_scopes, max_size=4))
def test_what_is_left_of_several_is_exactly_what_both_sides_permit(
    granted: list[ResourceScope], allowed: list[ResourceScope]
) -> None:
    assert permitted_items(intersect_scopes(granted, allowed)) == permitted_items(granted) & permitted_items(allowed)
