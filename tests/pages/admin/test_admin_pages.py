"""What holds for every admin page: well formed, labelled, in one language, without scripts and outside addresses."""

import re
from itertools import pairwise

import pytest

from gateway.languages.language import load_language
from gateway.pages.admin.parts import Action, Badge, Cell, Fact
from gateway.pages.admin.views import AdminView, DetailView
from gateway.pages.style import ADMINISTRATION_STYLE, STYLE, stylesheet
from tests.languages.pseudo_language import PSEUDO
from tests.pages.admin.samples import FRAME, VIEWS, render
from tests.pages.html_document import parse_page
from tests.pages.test_contrast import PALETTES
from tests.pages.test_hostile_text import ATTACKS, with_text

every_page = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
SPOKEN = ("aria-label", "title", "placeholder", "alt")


@every_page
def test_is_well_formed_with_one_first_heading_and_no_level_skipped(view: AdminView) -> None:
    page = parse_page(render(view))
    page.one("main")
    levels = [int(element.tag[1]) for element in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert "Administration" in page.one("title").text


@every_page
def test_has_ids_once_and_every_reference_leads_to_one(view: AdminView) -> None:
    page = parse_page(render(view))
    ids = [element.get("id") for element in page.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in page.elements:
        named = f"{element.get('aria-describedby')} {element.get('aria-labelledby')} {element.get('for')}".split()
        local = [element.get("href")[1:]] if element.get("href").startswith("#") else []
        assert set(named + local) <= set(ids), element


@every_page
def test_labels_every_field_and_names_every_button_link_and_table(view: AdminView) -> None:
    page = parse_page(render(view))
    labelled = {label.get("for"): label for label in page.all("label")}
    for entry in page.all("input", "select", "textarea"):
        if entry.get("type") != "hidden":
            assert labelled[entry.get("id")].text.strip(), entry
    for element in page.all("button", "a", "summary", "legend", "caption"):
        assert element.text.strip(), element


@every_page
def test_posts_its_token_with_every_form_that_changes_something_and_with_no_other(view: AdminView) -> None:
    page = parse_page(render(view))
    for form in page.all("form"):
        inside = [entry for entry in page.all("input") if entry.ancestor("form") is form]
        tokens = [entry.get("value") for entry in inside if entry.get("name") == "csrf"]
        assert tokens == (["csrf-1"] if form.get("method") == "post" else [])


@every_page
def test_carries_no_script_handler_style_attribute_or_outside_address(view: AdminView) -> None:
    page = parse_page(render(view))
    assert not page.all("script", "iframe", "object", "embed", "link", "base", "img")
    for element in page.elements:
        assert not [name for name in element.attributes if name.startswith("on") or name == "style"], element
        for name in ("href", "src", "action", "formaction"):
            assert element.get(name)[:1] in {"", "/", "#"}, element


@every_page
def test_no_template_has_a_text_that_no_catalogue_has(view: AdminView) -> None:
    page = parse_page(render(with_text(view, "*"), PSEUDO))
    seen = [page.one("title").text, page.one("body").text]
    spoken = [element.get(name) for element in page.elements for name in SPOKEN]
    assert not re.findall(r"[^\W\d_]+", " ".join([*seen, *spoken]))


@every_page
def test_has_the_same_elements_in_every_language(view: AdminView) -> None:
    assert parse_page(render(view, load_language("de"))).shape() == parse_page(render(view)).shape()


@every_page
@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_no_text_changes_the_structure(view: AdminView, attack: str) -> None:
    assert parse_page(render(with_text(view, attack))).shape() == parse_page(render(with_text(view, "word"))).shape()


def test_what_is_wrong_with_a_field_stands_beside_it_in_the_language_that_it_is_in() -> None:
    page = parse_page(render(VIEWS["form"], load_language("de")))
    uris = page.by_id("uris")
    assert uris.get("aria-invalid") == "true"
    assert uris.get("aria-describedby").split() == ["help-uris", "problem-uris"]
    problem = page.by_id("problem-uris")
    assert (problem.text, problem.get("lang")) == ("x: must be a URL", "en")
    assert "autofocus" in uris.attributes, "the first field to correct has the focus"


def test_a_link_that_no_page_may_have_is_text() -> None:
    hostile = Fact("x", (Cell("click me", href="javascript:alert(1)", badge=Badge("y")),))
    page = render(DetailView(FRAME, "x", (hostile,), actions=(Action("javascript:alert(2)", "z"),)))
    assert b"javascript:" not in page
    assert b"click me" in page


def test_the_stylesheet_begins_as_that_of_all_pages_and_names_its_colours() -> None:
    assert ADMINISTRATION_STYLE.startswith(STYLE)
    assert set(re.findall(r"var\(--([a-z0-9-]+)\)", ADMINISTRATION_STYLE)) <= PALETTES["light"].keys()
    assert stylesheet("#1a5fb4", is_administration=True).text.startswith(ADMINISTRATION_STYLE)
    assert not re.search(r"url\(|@import|@font-face", ADMINISTRATION_STYLE)
