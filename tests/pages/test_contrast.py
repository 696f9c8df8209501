"""The contrast of the colours by WCAG 2.2, in light and dark mode."""

import re

import pytest

from gateway.pages.initials import TONES
from gateway.pages.style import STYLE

TEXT = [
    *((ink, ground) for ink in ("ink", "quiet", "action") for ground in ("sheet", "well", "page", "picked")),
    ("mark", "sheet"),
    ("danger", "sheet"),
    ("on-mark", "mark"),
    ("on-action", "action"),
    ("on-action", "action-over"),
    ("on-danger", "danger"),
    ("on-alert", "alert"),
    ("on-care", "care"),
    ("on-good", "good"),
    *((f"on-tone-{number}", f"tone-{number}") for number in range(TONES)),
]
EDGES = [
    *((edge, ground) for edge in ("edge", "focus", "action", "mark") for ground in ("sheet", "well", "page")),
    ("care-edge", "sheet"),
    ("focus", "alert"),
]


def palette(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", block))


LIGHT_BLOCK, DARK_BLOCK = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
PALETTES = {"light": palette(LIGHT_BLOCK), "dark": palette(DARK_BLOCK)}


def luminance(colour: str) -> float:
    """Relative luminance, from 0 to 1 (WCAG 2.2)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(colour: str, other: str) -> float:
    lighter, darker = sorted((luminance(colour), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("mode", PALETTES)
@pytest.mark.parametrize(("ink", "ground"), TEXT, ids=lambda name: name)
def test_text_stands_out_at_least_four_and_a_half_to_one(mode: str, ink: str, ground: str) -> None:
    """WCAG 2.2, 1.4.3."""
    assert contrast(PALETTES[mode][ink], PALETTES[mode][ground]) >= 4.5


@pytest.mark.parametrize("mode", PALETTES)
@pytest.mark.parametrize(("edge", "ground"), EDGES, ids=lambda name: name)
def test_edges_and_the_focus_ring_stand_out_at_least_three_to_one(mode: str, edge: str, ground: str) -> None:
    """WCAG 2.2, 1.4.11."""
    assert contrast(PALETTES[mode][edge], PALETTES[mode][ground]) >= 3


def test_both_palettes_name_the_same_colours_and_every_colour_used_is_named() -> None:
    assert PALETTES["light"].keys() == PALETTES["dark"].keys()
    assert set(re.findall(r"var\(--([a-z0-9-]+)\)", STYLE)) <= PALETTES["light"].keys()


def test_black_on_white_is_twenty_one_to_one() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
