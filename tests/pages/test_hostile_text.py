"""Hostile texts do not change a page: no text adds, ends or changes an element."""

from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pages.initials import TONES, initials, tone_of
from gateway.pages.views import View
from tests.pages.html_document import parse_page
from tests.pages.rendering import render
from tests.pages.samples import VIEWS

T = TypeVar("T")

# URLs and compared values decide about the structure, and have tests of their own.
STRUCTURAL = frozenset(
    {"action", "sign_out", "switch_user", "granted_access", "href", "next_page", "logo", "policy", "terms"}
    | {"chosen_patient", "value", "use"}
    # Of admin pages.
    | {"kind", "tone", "first_page"}
)
ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus='alert(1)",
    "</title></style><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&#x3c;",
    "--><!-- ]]>",
    "\u202egnp.exe\u2066",
    "\x00\r\n\x0b",
    "half a pair \ud800",
)
texts = st.one_of(st.sampled_from(ATTACKS), st.text(min_size=1))
small = {name: view for name, view in VIEWS.items() if "two hundred" not in name}


def with_text(value: T, text: str) -> T:
    """The same value, with each non-empty text replaced."""
    if isinstance(value, tuple):
        return type(value)(text if isinstance(item, str) else with_text(item, text) for item in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changed = {
        field.name: text if isinstance(old, str) and old else with_text(old, text)
        for field in fields(value)
        if field.name not in STRUCTURAL
        for old in [getattr(value, field.name)]
    }
    return replace(value, **changed)


@pytest.mark.parametrize("view", small.values(), ids=small.keys())
@settings(deadline=None)
@given(text=texts)
def test_no_text_changes_the_structure_of_a_page(view: View, text: str) -> None:
    benign = parse_page(render(with_text(view, "word")))
    hostile = parse_page(render(with_text(view, text)))
    assert hostile.shape() == benign.shape()
    assert [e.get("class") for e in hostile.elements if "tone-" not in e.get("class")] == [
        e.get("class") for e in benign.elements if "tone-" not in e.get("class")
    ]


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_every_attack_is_shown_as_text(view: View) -> None:
    attack = ATTACKS[0]
    assert attack.encode() not in render(with_text(view, attack))


def test_names_keep_their_own_direction() -> None:
    """A direction override in a name must not affect the words around it."""
    page = parse_page(render(VIEWS["a picker that found more"]))
    assert "محمد عبد الرحمن" in [element.text for element in page.all("bdi")]


@settings(deadline=None)
@given(st.text())
def test_initials_are_few_and_the_tone_is_one_of_the_stylesheet(name: str) -> None:
    assert len(initials(name)) <= 2 * 3  # one letter may become three capitals, as ﬃ does
    assert 0 <= tone_of(name) < TONES


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("Amelia van Dyke", "AD", id="first and last word"),
        pytest.param("heartline", "H", id="one word"),
        pytest.param("(Dr) Lee", "DL", id="past brackets"),
        pytest.param(" — !", "", id="no letter at all"),
        pytest.param("佐藤 潤", "佐潤", id="letters without capitals"),
    ],
)
def test_initials(name: str, expected: str) -> None:
    assert initials(name) == expected
