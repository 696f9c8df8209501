"""Every word of a page comes from a catalogue, or is of the view that it shows."""

import re

import pytest

from gateway.languages.language import load_language
from gateway.pages.views import View
from tests.languages.pseudo_language import PSEUDO
from tests.pages.html_document import parse_page
from tests.pages.rendering import render
from tests.pages.samples import VIEWS
from tests.pages.test_hostile_text import with_text

every_page = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
# A text without letters, in the place of every text of a view.
NOTHING = "*"
SPOKEN = ("aria-label", "title", "placeholder", "alt")


@every_page
def test_no_template_has_a_text_that_no_catalogue_has(view: View) -> None:
    page = parse_page(render(with_text(view, NOTHING), PSEUDO))
    seen = [page.one("title").text, page.one("body").text]
    spoken = [element.get(name) for element in page.elements for name in SPOKEN]
    assert not re.findall(r"[^\W\d_]+", " ".join([*seen, *spoken]))


@every_page
def test_a_page_says_its_language_and_where_its_lines_start(view: View) -> None:
    for language, direction in ((load_language("de"), "ltr"), (PSEUDO, "rtl")):
        root = parse_page(render(view, language)).one("html")
        assert (root.get("lang"), root.get("dir")) == (language.tag, direction)


@every_page
def test_a_page_has_the_same_elements_in_every_language(view: View) -> None:
    assert parse_page(render(view, load_language("de"))).shape() == parse_page(render(view)).shape()
