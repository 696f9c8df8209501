"""The index finds what a comparison with every scope finds, and compares with few."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.scopes import coverage_index
from gateway.scopes.algebra import TooManyScopesError, intersect_scopes, normalise
from gateway.scopes.coverage_index import CoverageIndex, covers_apart_from_letters, get_requirements
from gateway.scopes.model import ResourceScope
from gateway.scopes.parse_scopes import parse_scopes
from tests.scopes import strategies
from tests.scopes.finite_world import world_scopes

SCOPES = 300


@strategies.steady
@given(st.lists(world_scopes, max_size=12), world_scopes)
def test_the_index_finds_exactly_the_scopes_that_cover(several: list[ResourceScope], narrow: ResourceScope) -> None:
    found = set(CoverageIndex(several).find_covering(narrow))
    assert found == {
        position
        for position, wide in enumerate(several)
        if covers_apart_from_letters(wide, get_requirements(wide), narrow, get_requirements(narrow))
    }


HOSTILE = {
    "a constraint each": " ".join(f"patient/Observation.rs?code={number}" for number in range(SCOPES)),
    "wildcards with a constraint each": " ".join(f"patient/*.rs?_tag={number}" for number in range(SCOPES)),
    "an alternative in common": " ".join(f"patient/*.rs?_tag=a,{number}" for number in range(SCOPES)),
    "a constraint in common": " ".join(f"patient/*.rs?_tag=a&code={number}" for number in range(SCOPES // 2)),
    "a list of types each": " ".join(f"patient/*.rs?_type=Patient&code={number}" for number in range(SCOPES // 2)),
    "all but one constraint in common": " ".join(
        f"user/*.rs?{'&'.join(f'_tag={value}' for value in range(19))}&code={number}" for number in range(SCOPES // 20)
    ),
    "letters that another lacks": " ".join(
        f"patient/Observation.{'crud'[number % 4]}?code=a,{number}" for number in range(SCOPES)
    ),
}


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[ResourceScope]:
    """A list that grows with each comparison of two scopes."""
    compared: list[ResourceScope] = []

    def compare(wide: ResourceScope, *others: object) -> bool:
        compared.append(wide)
        return covers_apart_from_letters(wide, *others)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(coverage_index, "covers_apart_from_letters", compare)
    return compared


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_shortest_form_needs_few_comparisons_whatever_a_request_names(
    text: str, comparisons: list[ResourceScope]
) -> None:
    scopes = parse_scopes(text).scopes
    assert normalise(scopes) == scopes
    assert len(comparisons) <= 2 * SCOPES


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_scopes_are_limited_to_themselves_with_few_comparisons(text: str, comparisons: list[ResourceScope]) -> None:
    scopes = parse_scopes(text).scopes
    assert intersect_scopes(scopes, scopes) == scopes
    assert len(comparisons) <= 4 * SCOPES


def test_an_intersection_of_more_scopes_than_a_string_may_hold_is_refused() -> None:
    requested = parse_scopes(" ".join(f"patient/Observation.rs?code={number}" for number in range(40))).scopes
    allowed = parse_scopes(" ".join(f"patient/Observation.rs?date=ge{number + 1900}" for number in range(40))).scopes
    assert len(intersect_scopes(requested, allowed[:25])) == 1000
    with pytest.raises(TooManyScopesError):
        intersect_scopes(requested, allowed)
