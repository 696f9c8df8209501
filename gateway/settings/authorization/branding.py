"""Settings of how the pages look and which languages they speak."""

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field, FilePath

from gateway.languages.language import ENGLISH, available_tags
from gateway.settings.authorization.colour_contrast import contrast_ratio
from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.setting_types import Line, Url

MIN_CONTRAST = 4.5
"""Of text (WCAG 2.2, 1.4.3)."""
LIGHT_BACKGROUNDS = ("#ffffff", "#f1f6f3", "#dfeae4", "#e8edfb")
"""What links and buttons stand on: the colours `sheet`, `well`, `page` and `picked` of `pages/styles/palette.css`."""
DARK_BACKGROUNDS = ("#16231f", "#1d2d28", "#0d1815", "#22304a")

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def _check_colour(value: str) -> str:
    if _COLOUR.fullmatch(value) is None:
        raise ValueError("must be a colour such as `#1a5fb4`")
    return value.lower()


def _check_against(value: str, backgrounds: tuple[str, ...]) -> str:
    ratio, background = min((contrast_ratio(value, other), other) for other in backgrounds)
    if ratio < MIN_CONTRAST:
        kind = "lighter" if backgrounds is DARK_BACKGROUNDS else "darker"
        raise ValueError(
            f"has a contrast of {ratio:.2f}:1 against {background}, and text needs {MIN_CONTRAST}:1 (WCAG 2.2, 1.4.3); "
            f"choose a {kind} colour"
        )
    return value


def _check_language(value: str) -> str:
    if value not in available_tags():
        raise ValueError(f"must be a language with a catalogue: {', '.join(sorted(available_tags()))}")
    return value


Colour = Annotated[str, AfterValidator(_check_colour)]
LightAccent = Annotated[Colour, AfterValidator(lambda value: _check_against(value, LIGHT_BACKGROUNDS))]
DarkAccent = Annotated[Colour, AfterValidator(lambda value: _check_against(value, DARK_BACKGROUNDS))]
LanguageTag = Annotated[str, AfterValidator(_check_language)]


class Branding(Section):
    """What the organisation adds to every page."""

    name: Annotated[
        Line | None,
        Field(max_length=60, description="Its name, at the top and in the title; without it, `Health record access`."),
    ] = None
    logo: Annotated[
        FilePath | None,
        Field(
            description="Its logo at the top, a PNG or SVG file of at most 200 KB. It is read at start and served by "
            "the gateway; an SVG that runs or loads something is refused."
        ),
    ] = None
    accent_colour: Annotated[
        LightAccent | None,
        Field(
            description="The colour of buttons, links and the mark, such as `#1a5fb4`, where the browser is in light "
            "mode. Refused below a contrast of 4.5:1 against the light backgrounds."
        ),
    ] = None
    accent_colour_dark: Annotated[
        DarkAccent | None,
        Field(
            description="The same in dark mode, such as `#99c1f1`: no colour has enough contrast against both. Without "
            "it, dark mode keeps its own."
        ),
    ] = None
    support_url: Annotated[Url | None, Field(description="The URL of a page with help, at the foot of every page.")] = (
        None
    )
    support_text: Annotated[
        Line | None,
        Field(
            max_length=200,
            description="The text of that link, or of a note without a link, such as whom to call; without it, `Help`.",
        ),
    ] = None
    privacy_url: Annotated[
        Url | None, Field(description="The URL of the organisation's privacy notice, at the foot of every page.")
    ] = None


class PageLanguages(Section):
    """The languages of the pages. A person gets the first of the browser's languages that is offered."""

    offered: Annotated[
        tuple[LanguageTag, ...], Field(min_length=1, description="The languages to choose from, by their tags.")
    ] = (ENGLISH.tag, "de")
    default: Annotated[LanguageTag, Field(description="The language of who asks for none, or only for others.")] = (
        ENGLISH.tag
    )

    @conflict_rule
    def _default_is_not_offered(self) -> Iterator[Conflict]:
        if self.default not in self.offered:
            yield Conflict(("default",), "must be one of the languages in offered")
