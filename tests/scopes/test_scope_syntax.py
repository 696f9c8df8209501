"""The regular expressions of scopes accept exactly the words of the grammar, which Lark reads here."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark.exceptions import UnexpectedInput

from gateway.scopes.parse_scopes import ScopeError, parse_scope
from gateway.scopes.scope_syntax import GRAMMAR, find_syntax_error
from tests.scopes.fuzz_scopes import mutate_seeds
from tests.scopes.strategies import steady

SYNTAX_MESSAGES = {"the scope is incomplete", "the text from here on does not match the syntax of a SMART scope"}


def follows_grammar(text: str) -> bool:
    """Whether Lark reads the text."""
    try:
        GRAMMAR.parse(text)
    except UnexpectedInput:
        return False
    return True


def has_syntax_of_a_scope(text: str) -> bool:
    """Whether our parser reads the text, or refuses it for its meaning only."""
    try:
        parse_scope(text)
    except ScopeError as error:
        return error.message not in SYNTAX_MESSAGES
    return True


@pytest.mark.requirement("SC-2", "SC-6")
@steady
@given(st.integers(min_value=0))
def test_the_parser_accepts_what_the_grammar_accepts(seed: int) -> None:
    for word in mutate_seeds(random.Random(seed)).decode("utf-8", "surrogateescape").split(" "):
        assert has_syntax_of_a_scope(word) == follows_grammar(word), word


ALIKE = {
    "a URI that begins with a word of scopes": "openid://x",
    "a URI that begins with a context": "system.example://x",
    "a URI of another scheme": "urn-x+y.z://x",
    "a v1 word with a constraint": "patient/Observation.*?code=a",
    "a v1 word with a letter": "patient/Observation.readx",
    "a type of 64 letters": f"patient/A{'b' * 63}.rs",
    "a type of 65 letters": f"patient/A{'b' * 64}.rs",
    "a modifier that ends in a hyphen": "patient/Observation.rs?code:not-=a",
    "a modifier with a hyphen": "patient/Observation.rs?code:not-in=a",
    "no letter": "patient/Observation.?code=a",
    "an ampersand at the end": "patient/Observation.rs?code=a&",
    "a second question mark in a role": "launch/list?role=a?b",
    "a line feed at the end": "patient/Observation.rs\n",
    "only underscores": "__",
}


@pytest.mark.parametrize("text", ALIKE.values(), ids=ALIKE)
def test_a_word_at_an_edge_of_the_grammar_is_read_as_the_grammar_says(text: str) -> None:
    assert has_syntax_of_a_scope(text) == follows_grammar(text)


ENDS = {
    "nothing": ("", 1),
    "a context": ("patient", 8),
    "no type": ("patient/", 9),
    "a question mark": ("patient/Observation.rs?", 24),
    "a second pair without a name": ("patient/Observation.rs?code=a&", 31),
    "a second pair without a value": ("patient/Observation.rs?code=a&date", 35),
    "a role that is missing": ("launch/list?role=", 18),
    "a bad character in a value": ('patient/Observation.rs?code=a"b', 30),
    "a bad character in a URI": ('https://x/a"b', 12),
}


@pytest.mark.parametrize(("text", "column"), ENDS.values(), ids=ENDS)
def test_the_column_of_a_syntax_error_is_where_the_text_stops_being_like_a_scope(text: str, column: int) -> None:
    assert find_syntax_error(text) == column
