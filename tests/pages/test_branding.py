"""What an organisation adds to every page: name, logo, colours and links."""

import re

import pytest

from gateway.languages.language import ENGLISH
from gateway.pages.branding import PageBranding
from gateway.pages.render import PageRenderer
from gateway.pages.security_headers import page_headers
from gateway.pages.style import STYLE, stylesheet
from gateway.pages.views import View
from gateway.settings.authorization.branding import DARK_BACKGROUNDS, LIGHT_BACKGROUNDS, MIN_CONTRAST
from gateway.settings.authorization.colour_contrast import contrast_ratio
from tests.pages.html_document import parse_page
from tests.pages.samples import VIEWS
from tests.pages.test_contrast import PALETTES, contrast, palette

LIGHT, DARK = "#1a5fb4", "#99c1f1"
LOGO = "https://gw.example/auth/branding/logo-1.svg"
BRANDED = PageBranding(
    stylesheet(LIGHT, DARK),
    name="St. <Mary's> & Sons",
    logo=LOGO,
    support_url="https://help.example/?a=1&b=2",
    support_text="Call 0123",
    privacy_url="https://privacy.example/",
)
every_page = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())


@every_page
def test_every_page_has_the_name_the_logo_and_the_links(view: View) -> None:
    page = parse_page(PageRenderer(BRANDED).render(view, ENGLISH))
    assert page.one("title").text.endswith(f" · {BRANDED.name}")
    brand = next(element for element in page.all("p") if element.get("class") == "brand")
    assert brand.text.strip() == BRANDED.name
    assert [picture.get("src") for picture in page.all("img") if picture.get("class") == "logo"] == [LOGO]
    links = {link.get("href"): link.text for link in page.all("a") if link.ancestor("footer")}
    assert links == {BRANDED.support_url: "Call 0123 (new tab)", BRANDED.privacy_url: "Privacy (new tab)"}


def test_a_note_without_a_link_is_text() -> None:
    branding = PageBranding(stylesheet(), support_text="Call 0123")
    page = parse_page(PageRenderer(branding).render(VIEWS["an error"], ENGLISH))
    assert [element.text.strip() for element in page.all("footer")] == ["Call 0123"]


def test_the_policy_lets_in_the_logo_and_the_colours_and_nothing_else() -> None:
    policy = dict(page_headers(BRANDED, ENGLISH, ()))[b"content-security-policy"].decode()
    assert f"style-src '{BRANDED.stylesheet.hash}'; img-src 'self'; form-action" in policy


def test_the_accents_replace_our_colours_in_their_own_mode() -> None:
    added = BRANDED.stylesheet.text.removeprefix(STYLE)
    light, dark = (palette(block) for block in re.findall(r":root \{(.*?)\}", added))
    assert (light["action"], light["mark"]) == (LIGHT, LIGHT)
    assert (dark["action"], dark["mark"]) == (DARK, DARK)
    assert stylesheet().text == STYLE
    assert stylesheet(None, DARK).text.count(LIGHT) == 0


@pytest.mark.parametrize(("mode", "accent"), [("light", LIGHT), ("dark", DARK)])
def test_an_accent_that_is_accepted_has_enough_contrast_wherever_it_is_used(mode: str, accent: str) -> None:
    """The texts on it as well, and on the colour of a button under the pointer."""
    ours = PALETTES[mode]
    on_action = ours["on-action"] if mode == "light" else ours["page"]
    changed = palette(re.findall(r":root \{(.*?)\}", stylesheet(LIGHT, DARK).text.removeprefix(STYLE))[mode == "dark"])
    for ground in ("sheet", "well", "page", "picked"):
        assert contrast(accent, ours[ground]) >= MIN_CONTRAST
    assert contrast(on_action, accent) >= MIN_CONTRAST
    assert contrast(on_action, changed["action-over"]) >= MIN_CONTRAST
    assert contrast(ours["on-mark"], accent) >= MIN_CONTRAST


def test_the_settings_check_against_the_very_backgrounds_of_the_pages() -> None:
    grounds = ("sheet", "well", "page", "picked")
    assert tuple(PALETTES["light"][name] for name in grounds) == LIGHT_BACKGROUNDS
    assert tuple(PALETTES["dark"][name] for name in grounds) == DARK_BACKGROUNDS
    assert contrast_ratio("#000000", "#ffffff") == contrast("#ffffff", "#000000") == pytest.approx(21)
