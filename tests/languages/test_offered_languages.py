"""Which language a person gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.languages.language import ENGLISH, Language, load_language
from gateway.languages.offered_languages import OfferedLanguages

GERMAN = load_language("de")
BRAZILIAN = Language("pt-BR", ENGLISH.translations)
OFFERED = OfferedLanguages((ENGLISH, GERMAN, BRAZILIAN), ENGLISH)


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        pytest.param("", "en", id="nothing said"),
        pytest.param("de", "de", id="one language"),
        pytest.param("de-CH, fr;q=0.9, en;q=0.8", "de", id="a region of one that is offered"),
        pytest.param("fr, de;q=0.5, en;q=0.4", "de", id="the first is not offered"),
        pytest.param("en;q=0.3, de;q=0.7", "de", id="the weights decide, not the order"),
        pytest.param("de;q=0, en", "en", id="a language that is not wanted"),
        pytest.param("de;q=0", "en", id="nothing but one that is not wanted"),
        pytest.param("fr, *;q=0.1", "en", id="any language is the default"),
        pytest.param("fr", "en", id="only others"),
        pytest.param("PT-br", "pt-BR", id="letters of any case"),
        pytest.param("pt", "en", id="a language is not one of its regions"),
        pytest.param("de;q=2, en;q=x, ;;, de-, \u00fc", "en", id="nothing that can be read"),
        pytest.param("x" * 5000 + ", de", "en", id="longer than any browser's"),
    ],
)
def test_a_browser_gets_the_language_it_wants_most(header: str, tag: str) -> None:
    assert OFFERED.choose(header).tag == tag


@pytest.mark.parametrize(
    ("ui_locales", "tag"),
    [
        pytest.param("en", "en", id="the app's comes before the browser's"),
        pytest.param("fr-CA pt-BR", "pt-BR", id="the first that is offered"),
        pytest.param("fr", "de", id="none that is offered: the browser's"),
        pytest.param("../../etc \x00 de;q=0", "de", id="what is no tag"),
    ],
)
def test_an_app_may_ask_for_a_language(ui_locales: str, tag: str) -> None:
    assert OFFERED.choose("de", ui_locales).tag == tag


@given(st.text(), st.text())
def test_whatever_is_said_there_is_a_language(header: str, ui_locales: str) -> None:
    assert OFFERED.choose(header, ui_locales).tag in {"en", "de", "pt-BR"}


def test_hebrew_starts_at_the_right_and_german_at_the_left() -> None:
    assert (Language("he-IL", ENGLISH.translations).direction, GERMAN.direction) == ("rtl", "ltr")
