"""What holds for every page: well formed, labelled, accessible, and without scripts and external URLs."""

import re
from itertools import pairwise

import pytest

from gateway.pages.style import STYLE
from gateway.pages.views import View
from tests.pages.html_document import Document, Element, MalformedPageError, parse_page
from tests.pages.rendering import render
from tests.pages.samples import LOGO, POLICY, VIEWS

every_page = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
ADDRESSES = ("href", "src", "action", "formaction", "srcset", "data", "poster")


@every_page
def test_is_well_formed_and_in_english(view: View) -> None:
    page = parse_page(render(view))
    assert page.one("html").get("lang") == "en"
    assert page.one("style").text == STYLE


@every_page
def test_has_one_main_part_one_first_heading_and_no_level_skipped(view: View) -> None:
    page = parse_page(render(view))
    page.one("main")
    levels = [int(element.tag[1]) for element in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@every_page
def test_has_a_title_that_says_the_step(view: View) -> None:
    page = parse_page(render(view))
    step, _, service = page.one("title").text.rpartition(" · ")
    assert step.removeprefix("Please check: ").strip()
    assert service == "Health record access"
    assert step.startswith("Please check: ") is bool(getattr(view, "problem", ""))


@every_page
def test_has_ids_once_and_every_reference_leads_to_one(view: View) -> None:
    page = parse_page(render(view))
    ids = [element.get("id") for element in page.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in page.elements:
        named = f"{element.get('aria-describedby')} {element.get('aria-labelledby')} {element.get('for')}".split()
        local = [element.get("href")[1:]] if element.get("href").startswith("#") else []
        assert set(named + local) <= set(ids), element


@every_page
def test_labels_every_input(view: View) -> None:
    page = parse_page(render(view))
    labelled = {label.get("for"): label for label in page.all("label")}
    for entry in page.all("input"):
        if entry.get("type") != "hidden":
            assert labelled[entry.get("id")].text.strip(), entry
    for group in page.all("fieldset"):
        assert any(legend.ancestor("fieldset") is group and legend.text.strip() for legend in page.all("legend"))


@every_page
def test_names_every_button_link_and_disclosure(view: View) -> None:
    page = parse_page(render(view))
    for element in page.all("button", "a", "summary"):
        assert element.text.strip(), element
    for picture in page.all("img"):
        assert picture.attributes["alt"] == ""
    for drawing in page.all("svg"):
        assert drawing.get("aria-hidden") == "true"


@every_page
def test_carries_no_script_handler_style_attribute_or_outside_address(view: View) -> None:
    page = parse_page(render(view))
    assert not page.all("script", "iframe", "object", "embed", "link", "base")
    for element in page.elements:
        assert not [name for name in element.attributes if name.startswith("on") or name == "style"], element
        for name in ADDRESSES:
            assert element.get(name)[:1] in {"", "/", "#"} or element.get(name) in {LOGO, POLICY}, element
    assert not re.search(r"url\(|@import|@font-face", STYLE)


@every_page
def test_posts_its_csrf_token_with_every_form_that_changes_something(view: View) -> None:
    page = parse_page(render(view))
    for form in page.all("form"):
        inside = [entry for entry in page.all("input") if entry.ancestor("form") is form]
        tokens = [entry.get("value") for entry in inside if entry.get("name") == "csrf"]
        assert tokens == (["csrf-1"] if form.get("method") == "post" else [])


@every_page
def test_uses_no_word_of_the_trade(view: View) -> None:
    page = parse_page(render(view))
    words = " ".join(text_of(page)).lower()
    assert not re.search(r"\b(scopes?|encounters?|oauth|fhir|tokens?|clients?|csrf|revoke)\b", words)


@every_page
def test_tells_a_problem_at_once_and_ties_it_to_the_inputs(view: View) -> None:
    page = parse_page(render(view))
    problem = getattr(view, "problem", "")
    alerts = [element for element in page.elements if element.get("role") == "alert"]
    assert [alert.text.strip() for alert in alerts] == ([problem] if problem else [])


def text_of(page: Document) -> list[str]:
    """The text of the body without scopes and reason codes, which are for technical readers and operators."""
    body = page.one("body")
    hidden = [element.text for element in page.all("code")]
    text = body.text
    for words in hidden:
        text = text.replace(words, "")
    return [text]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param("<!DOCTYPE html>\n<p><b></p></b>", id="tags that cross"),
        pytest.param("<!DOCTYPE html>\n<p>", id="a tag left open"),
        pytest.param('<!DOCTYPE html>\n<p id="a" id="b"></p>', id="an attribute twice"),
        pytest.param("<p></p>", id="no doctype"),
        pytest.param("<!DOCTYPE html>\n<p><!-- x --></p>", id="a comment"),
    ],
)
def test_the_reader_itself_refuses_a_malformed_page(page: str) -> None:
    with pytest.raises(MalformedPageError):
        parse_page(page.encode())


def test_the_reader_knows_what_stands_within_what() -> None:
    page = parse_page(b"<!DOCTYPE html>\n<form><p><input></p></form>")
    form = page.one("form")
    assert page.one("input").ancestor("form") is form
    assert isinstance(form, Element)
