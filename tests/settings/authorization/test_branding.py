"""Problems in the settings of branding and languages."""

from pathlib import Path

import pytest

from gateway.languages.language import available_tags
from tests.settings.configuration import LEAST, load, problems

LIGHT, DARK = "accent_colour", "accent_colour_dark"
WRONG = {
    "a colour by its name": (LIGHT, "navy", "must be a colour such as `#1a5fb4`"),
    "a colour that is too light": (
        LIGHT,
        "#3584e4",
        "has a contrast of 3.06:1 against #dfeae4, and text needs 4.5:1 (WCAG 2.2, 1.4.3); choose a darker colour",
    ),
    "a colour that is too dark for dark mode": (
        DARK,
        "#1a5fb4",
        "has a contrast of 2.10:1 against #22304a, and text needs 4.5:1 (WCAG 2.2, 1.4.3); choose a lighter colour",
    ),
    "an address that is none": ("support_url", "help.example", None),
    "an address that runs": ("privacy_url", "javascript:alert(1)", None),
    "a name of two lines": ("name", "a\\nb", None),
    "a logo that is not there": ("logo", "/nowhere/logo.svg", None),
}


def branding(name: str, value: str) -> str:
    return f'{LEAST}smart_server: {{branding: {{{name}: "{value}"}}}}\n'


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG.values(), ids=WRONG)
def test_what_a_page_cannot_show_is_refused(tmp_path: Path, name: str, value: str, sentence: str | None) -> None:
    (problem,) = problems(tmp_path, branding(name, value))
    assert f"smart_server.branding.{name}: " in problem
    assert sentence is None or problem.endswith(sentence)


def test_colours_with_enough_contrast_are_accepted(tmp_path: Path) -> None:
    assert load(tmp_path, branding(LIGHT, "#1A5FB4")).smart_server.branding.accent_colour == "#1a5fb4"  # type: ignore[union-attr]
    assert load(tmp_path, branding(DARK, "#99c1f1")).smart_server.branding.accent_colour_dark == "#99c1f1"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("languages", "path", "sentence"),
    [
        pytest.param("offered: [xx]", "offered[0]", "must be a language with a catalogue: ", id="no catalogue"),
        pytest.param("offered: [../..]", "offered[0]", "must be a language with a catalogue: ", id="a path"),
        pytest.param("offered: []", "offered", "", id="none"),
        pytest.param(
            "offered: [en], default: de", "default", "must be one of the languages in offered", id="not offered"
        ),
    ],
)
def test_a_language_that_pages_cannot_speak_is_refused(
    tmp_path: Path, languages: str, path: str, sentence: str
) -> None:
    found = problems(tmp_path, f"{LEAST}smart_server: {{languages: {{{languages}}}}}\n")
    assert any(f"smart_server.languages.{path}: {sentence}" in problem for problem in found), found


def test_every_language_is_offered_unless_the_operator_says_otherwise(tmp_path: Path) -> None:
    smart_server = load(tmp_path, f"{LEAST}smart_server: {{}}\n").smart_server
    assert smart_server is not None
    assert set(smart_server.languages.offered) == available_tags()
