"""A consent page has bounds whatever a request names, says all of it, and reads back what was ticked."""

import html

import pytest

from gateway.pages.views import ScopePart
from gateway.scopes.algebra import intersect
from gateway.scopes.describe_scope import describe_scope
from gateway.scopes.model import ResourceScope
from gateway.scopes.parse_scopes import parse_scopes
from gateway.scopes.resource_types import RESOURCE_TYPES
from gateway.smart_server.authorize import consent_rows
from gateway.smart_server.authorize.consent_form import read_consent
from gateway.smart_server.authorize.consent_rows import MAX_ROWS, group_scopes, scope_rows
from tests.pages.rendering import render
from tests.pages.samples import consent

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
LARGE = {
    "298 wildcards": " ".join(f"patient/*.rs?_tag={number}" for number in range(298)),
    "as many wildcards as there are rows": " ".join(f"patient/*.rs?_tag={number}" for number in range(MAX_ROWS)),
    "as many long rows as there are rows": " ".join(
        f"user/Observation.rs?category={CATEGORY}|{'x' * 430}{number}" for number in range(MAX_ROWS)
    ),
    "wildcards with long values": " ".join(f"user/*.rs?_tag={'x' * 1900}{number}" for number in range(16)),
    "every type by its name": " ".join(f"patient/{name}.rs user/{name}.rs" for name in sorted(RESOURCE_TYPES)),
    "extensions": " ".join(f"__permission{number}" for number in range(298)),
    "statements": " ".join(f"launch/list?role=r{number}" for number in range(298)),
    "20 KB of long scopes": " ".join(f"patient/Observation.rs?category={CATEGORY}|{number}" for number in range(200)),
}


def parts_of(parts: tuple[ScopePart, ...]) -> int:
    """How many parts there are, with those within parts."""
    return sum(1 + parts_of(part.parts) for part in parts)


@pytest.mark.requirement("SC-25", "SC-35")
@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_the_page_is_small_and_names_every_scope(text: str) -> None:
    scopes = parse_scopes(text).scopes
    rows = scope_rows(scopes)
    page = render(consent(rows=rows))
    assert len(page) <= 200_000
    assert sum(row.optional for row in rows) <= MAX_ROWS
    shown = html.unescape(page.decode())
    assert all(describe_scope(scope) in shown for scope in scopes)


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_few_parts_are_made_whatever_a_request_names(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ResourceScope] = []

    def count(scope: ResourceScope, other: ResourceScope) -> ResourceScope | None:
        made.append(scope)
        return intersect(scope, other)

    monkeypatch.setattr(consent_rows, "intersect", count)
    rows = scope_rows(parse_scopes(text).scopes)
    assert len(made) <= 400
    assert sum(parts_of(row.parts) for row in rows) <= 600


def test_the_broadest_scopes_have_their_parts_first() -> None:
    narrow = " ".join(f"patient/*.s?_tag={number}" for number in range(30))
    rows = scope_rows(parse_scopes(f"{narrow} patient/*.r").scopes)
    assert rows[-1].parts
    assert not rows[-2].parts


def test_rows_beyond_the_bound_are_put_together_by_what_they_permit_to_do() -> None:
    heads = ("patient/Observation.r", "patient/Observation.rs", "user/Observation.r")
    text = " ".join(f"{head}?code={number}" for number in range(40) for head in heads)
    scopes = parse_scopes(f"openid {text} offline_access").scopes
    rows = scope_rows(scopes)
    assert [row.is_group for row in rows] == [False, True, True, True, False]
    assert [row.sensitive for row in rows] == [False, False, False, True, True]
    assert rows[1].sentence == "Read the patient's records that any of the 40 lines below describes."
    assert [scope for group in group_scopes(scopes) for scope in group if scope not in scopes] == []


def test_a_group_grants_all_or_exactly_the_lines_that_were_ticked() -> None:
    scopes = parse_scopes(LARGE["298 wildcards"]).scopes
    assert read_consent(scopes, (("use-0", "all"),), 300) == scopes
    some = (("use-0", "some"), ("part-0", "3"), ("part-0", "298"), ("part-0", "patient/*.rs"), ("part-0", "03"))
    assert read_consent(scopes, some, 300) == (scopes[3],)
    assert read_consent(scopes, (("use-0", "none"), ("part-0", "3")), 300) == ()
    assert read_consent(scopes, (("use-1", "all"),), 300) == ()
