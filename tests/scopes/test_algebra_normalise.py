"""The shortest form of several scopes: a table, and a property over a finite world."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.scopes.algebra import normalise
from gateway.scopes.format_scopes import format_scopes
from gateway.scopes.model import ResourceScope
from gateway.scopes.parse_scopes import parse_scopes
from tests.scopes import strategies
from tests.scopes.finite_world import permitted_items, world_scopes

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
    assert format_scopes(short) == expected
    assert parse_scopes(expected).scopes == short


@pytest.mark.requirement("SC-14")
@strategies.steady
@given(st.lists(world_scopes, max_size=5).map(tuple))
def test_the_shortest_form_keeps_the_meaning_and_is_its_own_shortest_form(several: tuple[ResourceScope, ...]) -> None:
    short = normalise(several)
    assert permitted_items(short) == permitted_items(several)
    assert len(format_scopes(short)) <= len(format_scopes(several))
    assert normalise(short) == short
    assert parse_scopes(format_scopes(short)).scopes == short
