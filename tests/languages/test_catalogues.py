"""Every catalogue is complete, as new as the code and the templates, and compiled."""

import ast
import io
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from gateway.languages.language import ENGLISH, available_tags, load_language
from scripts.translations import ROOT, catalogue_files, extract_texts, mo_bytes, po_bytes, strings_of, updated

every_catalogue = pytest.mark.parametrize("file", catalogue_files(), ids=lambda file: file.parts[-3])
CLAUSES = {"message", "title", "advice", "text"}
_PLACEHOLDER = re.compile(r"%\((\w+)\)s")


@pytest.fixture(scope="module")
def texts() -> Catalog:
    return extract_texts()


def messages(file: Path) -> list[Message]:
    return [message for message in read_po(io.BytesIO(file.read_bytes()), locale=file.parts[-3]) if message.id]


def ids_of(message: Message) -> tuple[str, ...]:
    return message.id if isinstance(message.id, tuple) else (str(message.id),)


@every_catalogue
def test_a_catalogue_is_as_make_translations_writes_it(file: Path, texts: Catalog) -> None:
    catalogue = updated(file, texts)
    assert file.read_bytes() == po_bytes(catalogue), "run `make translations`"
    assert file.with_suffix(".mo").read_bytes() == mo_bytes(catalogue), "run `make translations`"


@every_catalogue
def test_every_text_is_translated_and_none_is_only_a_guess(file: Path) -> None:
    assert [message.id for message in messages(file) if not all(strings_of(message)) or message.fuzzy] == []


@every_catalogue
def test_every_translation_has_the_values_and_the_markup_of_its_text(file: Path) -> None:
    for message in messages(file):
        for translation in strings_of(message):
            assert set(_PLACEHOLDER.findall(translation)) == set(_PLACEHOLDER.findall(ids_of(message)[-1])), message.id
            assert re.findall(r"<[^>]*>|&", translation) == re.findall(r"<[^>]*>|&", ids_of(message)[0]), message.id
            assert translation.count("%") == len(_PLACEHOLDER.findall(translation)), message.id


@every_catalogue
def test_a_translation_ends_as_its_text_does(file: Path) -> None:
    """A sentence stays a sentence, and what follows a space follows one."""
    for message in messages(file):
        for translation in strings_of(message):
            source = ids_of(message)[0]
            assert (translation[-1] in ".?:") is (source[-1] in ".?:"), message.id
            assert translation.startswith(" ") is source.startswith(" "), message.id


def test_every_catalogue_is_a_language() -> None:
    assert available_tags() == {ENGLISH.tag, *(file.parts[-3] for file in catalogue_files())}
    assert {tag: load_language(tag).tag for tag in available_tags()} == {tag: tag for tag in available_tags()}
    assert load_language("de").gettext("Sign in") == "Anmelden"


def test_what_a_page_says_is_found_in_code_and_templates(texts: Catalog) -> None:
    found = {text for message in texts if message.id for text in ids_of(message)}
    assert {
        "Sign in to continue to %(app)s",  # a block of a template
        "Allow what I chose",  # one of a choice in a template
        "%(count)s patients",  # a plural
        "Laboratory results",  # marked for later
        "Please choose a patient.",  # translated at once
        "No app of this client_id is registered here.",  # of a PageError, in a room without languages
    } <= found
    assert not any("\n" in text for text in found)


def test_no_error_of_a_page_is_put_together_where_it_cannot_be_translated() -> None:
    """`PageError` and the like take a text that stands in the code, or one that is translated already."""
    for file in (ROOT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {
                "PageError",
                "unusable_request",
                "WayBack",
            }:
                texts = [*node.args[1:2], *(keyword.value for keyword in node.keywords if keyword.arg in CLAUSES)]
                assert not any(isinstance(text, ast.JoinedStr) for text in texts), f"{file}:{node.lineno}"
