"""Parsing of scopes: corpora, tables and properties (SC-1..SC-24, edge cases 84-96)."""

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.scopes.format_scopes import format_scope, format_scopes
from gateway.scopes.model import Constraint, IdentityScope, LaunchScope, Letter, RefreshScope, ResourceScope, Scope
from gateway.scopes.parse_scopes import (
    MAX_SCOPE_LENGTH,
    MAX_SCOPES,
    MAX_STRING_LENGTH,
    ParsedScopes,
    ScopeError,
    parse_granted_scopes,
    parse_scope,
    parse_scopes,
)
from tests.scopes import strategies

HERE = Path(__file__).parent
# RFC 6749 section 3.3.
SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def corpus(name: str) -> dict[str, str]:
    """The scopes of a corpus file by `rule: scope`."""
    lines: dict[str, str] = {}
    rule = ""
    for line in HERE.joinpath(name).read_text(encoding="utf-8").split("\n"):
        if line.startswith("## "):
            rule = line.removeprefix("## ")
        elif line and not line.startswith("#"):
            assert rule, f"{line} has no rule"
            assert line not in lines.values(), f"{line} is a duplicate"
            lines[f"{rule}: {line}"] = line
    return lines


GOOD = corpus("good.txt")
BAD = corpus("bad.txt")


def test_the_corpora_hold_every_sample_of_the_checklist() -> None:
    assert sum("section 6" in rule for rule in GOOD) == 30
    assert sum("section 6" in rule for rule in BAD) == 32


@pytest.mark.requirement("SC-2", "SC-39", "edge-90", "edge-93")
@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_good_scope_parses_and_is_written_again_as_it_stood(text: str) -> None:
    assert format_scope(parse_scope(text)) == text


@pytest.mark.requirement("SC-2", "SC-6", "SC-11", "SC-40", "edge-84", "edge-87", "SC-24", "edge-95")
@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_bad_scope_grants_nothing_and_says_where_it_went_wrong(text: str) -> None:
    with pytest.raises(ScopeError) as caught:
        parse_scope(text)
    assert 1 <= caught.value.column <= len(text) + 1
    assert caught.value.message


LETTERS = {
    "SC-7: read is r and s, never r, e, a and d": ("patient/Observation.read", "rs"),
    "SC-8: write is c, u and d, without r and s": ("patient/Observation.write", "cud"),
    "SC-8: a star for letters is all five": ("patient/Observation.*", "cruds"),
    "SC-3: letters stand for themselves": ("patient/Observation.rus", None),
    "edge 86: star dot star is v1 for everything": ("patient/*.*", "cruds"),
    "edge 86: star dot rs is v2": ("patient/*.rs", "rs"),
}


@pytest.mark.requirement("SC-7", "SC-8", "edge-86")
@pytest.mark.parametrize(("text", "letters"), LETTERS.values(), ids=LETTERS)
def test_letters(text: str, letters: str | None) -> None:
    scope = parse_scope(text)
    assert isinstance(scope, ResourceScope)
    assert scope.letters == frozenset(map(Letter, letters or text.rsplit(".", 1)[1]))
    assert scope.is_v1 == text.endswith((".read", ".write", ".*"))


@pytest.mark.requirement("SC-2", "SC-6")
def test_sc_2_of_all_words_of_letters_exactly_the_31_in_order_are_read() -> None:
    every = ("".join(word) for length in range(1, 6) for word in itertools.product("cruds", repeat=length))
    in_order = {"".join(word) for length in range(1, 6) for word in itertools.combinations("cruds", length)}
    accepted = {word for word in every if parse_scopes(f"user/Group.{word}").scopes}
    assert accepted == in_order
    assert len(accepted) == 31


def test_a_constraint_keeps_name_modifier_and_decoded_value() -> None:
    scope = parse_scope("patient/Observation.rs?code:in=http://x|a%26b&date=ge2020+01")
    assert isinstance(scope, ResourceScope)
    assert scope.constraints == (
        Constraint("code", "in", "http://x|a&b"),
        Constraint("date", None, "ge2020+01"),
    )


@pytest.mark.requirement("edge-92")
def test_edge_92_spaces_and_repeats_collapse_and_order_stays() -> None:
    parsed = parse_scopes("openid  openid fhirUser ")
    assert parsed.scopes == (IdentityScope("openid"), IdentityScope("fhirUser"))
    assert parsed.refused == ()


UNPRINTABLE = {
    "a tab": "openid\tfhirUser",
    "a line feed": "openid\nfhirUser",
    "a line feed at the end": "openid\n",
    "a null": "openid\x00",
    "a no-break space": "openid\u00a0fhirUser",
    "a lone surrogate": "openid\ud800",
}


@pytest.mark.parametrize("word", UNPRINTABLE.values(), ids=UNPRINTABLE)
def test_edge_92_a_control_character_refuses_the_word_it_stands_in_and_no_other(word: str) -> None:
    parsed = parse_scopes(f"launch {word} offline_access")
    assert [error.text for error in parsed.refused] == [word]
    assert parsed.scopes == (LaunchScope(), RefreshScope("offline_access"))


@pytest.mark.parametrize("text", [" openid", "openid ", "openid fhirUser", ""])
def test_one_scope_is_one_word(text: str) -> None:
    with pytest.raises(ScopeError):
        parse_scope(text)


COLUMNS = {
    "an unknown context": ("admin/*.rs", 1, "the text from here on does not match the syntax of a SMART scope"),
    "an unknown type": ("patient/Foo.rs", 9, "FHIR R4 has no resource type Foo"),
    "SC-6: a letter out of order": (
        "patient/Observation.sr",
        22,
        "the text from here on does not match the syntax of a SMART scope",
    ),
    "an end that comes too early": ("patient/Observation", 20, "the scope is incomplete"),
    "SC-24: a result parameter": (
        "patient/Patient.rs?name=a&_count=1",
        27,
        "_count does not restrict a search, so it is not allowed in a scope",
    ),
    "edge 90: a value": ("patient/Patient.rs?name=%zz", 25, "a percent sign does not begin a valid escape"),
    "SC-39: a launch type": (
        "launch/foo",
        8,
        "FHIR R4 has no resource type with the lower-case name foo",
    ),
}


@pytest.mark.requirement("SC-6", "SC-24")
@pytest.mark.parametrize(("text", "column", "message"), COLUMNS.values(), ids=COLUMNS)
def test_an_error_names_the_place_and_the_offender(text: str, column: int, message: str) -> None:
    with pytest.raises(ScopeError) as caught:
        parse_scope(text)
    assert (caught.value.text, caught.value.column, caught.value.message) == (text, column, message)
    assert str(caught.value) == f"{message} (column {column} of {text!r})"


def test_a_refused_scope_does_not_take_its_neighbours_with_it_nor_leave_a_part_behind() -> None:
    parsed = parse_scopes("patient/Observation.rs?_count=1 patient/Condition.sr patient/Patient.r")
    assert format_scopes(parsed.scopes) == "patient/Patient.r"
    assert len(parsed.refused) == 2


def test_an_encoded_slash_is_read_only_where_the_issuer_writes_it() -> None:
    text = "patient%2FObservation.rs user%2f*.r"
    assert len(parse_scopes(text).refused) == 2
    assert format_scopes(parse_scopes(text, decode_slash=True).scopes) == "patient/Observation.rs user/*.r"


def test_edge_92_the_same_scope_written_in_two_ways_is_one_scope() -> None:
    assert len(parse_scopes("patient/Observation.rs?code=a%7Cb patient/Observation.rs?code=a|b").scopes) == 1


def test_a_scope_of_2048_characters_is_read_and_a_longer_one_refused_by_itself() -> None:
    head = "patient/Observation.rs?code="
    longest = head + "a" * (MAX_SCOPE_LENGTH - len(head))
    parsed = parse_scopes(f"{longest} {longest}a openid")
    assert len(parsed.scopes) == 2
    assert [error.column for error in parsed.refused] == [MAX_SCOPE_LENGTH + 1]


def test_a_string_at_the_caps_is_read() -> None:
    assert parse_scopes(" ".join(["openid"] * MAX_SCOPES)).scopes == (IdentityScope("openid"),)
    assert parse_scopes("openid" + " " * (MAX_STRING_LENGTH - 6)).scopes == (IdentityScope("openid"),)


OVER = {
    "over 64 KiB": "openid" + " " * (MAX_STRING_LENGTH - 5),
    "over 1000 scopes": " ".join(["openid"] * (MAX_SCOPES + 1)),
}


@pytest.mark.parametrize("text", OVER.values(), ids=OVER)
def test_a_string_over_the_caps_grants_nothing_at_all(text: str) -> None:
    with pytest.raises(ScopeError):
        parse_scopes(text)


@strategies.steady
@given(st.text())
def test_parsing_is_total(text: str) -> None:
    try:
        scope = parse_scope(text)
    except ScopeError:
        return
    assert parse_scope(format_scope(scope)) == scope


@strategies.steady
@given(st.text())
def test_parsing_a_string_is_total_and_loses_no_word(text: str) -> None:
    parsed = parse_scopes(text)
    words = [word for word in text.split(" ") if word]
    assert len(parsed.scopes) + len(parsed.refused) <= len(words)
    assert {error.text for error in parsed.refused} <= set(words)


@pytest.mark.requirement("SC-2")
@strategies.steady
@given(strategies.scopes)
def test_what_is_written_is_read_back_as_the_same_value(scope: Scope) -> None:
    text = format_scope(scope)
    assert SCOPE_TOKEN.fullmatch(text)
    assert parse_scope(text) == scope


@strategies.steady
@given(st.lists(strategies.scopes, max_size=6, unique=True).map(tuple))
def test_a_string_that_is_written_is_read_back_as_the_same_scopes(several: tuple[Scope, ...]) -> None:
    assert parse_scopes(format_scopes(several)) == ParsedScopes(several, ())


@strategies.steady
@given(strategies.scopes.map(format_scope), st.data())
def test_a_wrong_character_anywhere_is_never_cut_away(text: str, data: st.DataObject) -> None:
    """A quotation mark is not allowed in any scope, so a scope with one must be refused (SC-2, enforcement.md 8)."""
    position = data.draw(st.integers(0, len(text)))
    with pytest.raises(ScopeError) as caught:
        parse_scope(text[:position] + '"' + text[position:])
    assert caught.value.column <= position + 1


def test_what_was_granted_is_parsed_once_and_what_is_asked_for_pushes_nothing_out() -> None:
    granted = "launch/patient patient/Observation.rs?code=granted"
    scopes = parse_granted_scopes(granted)
    for number in range(5000):
        parse_scopes(f"patient/Observation.rs?code={number}")
    assert parse_granted_scopes(granted) is scopes
    assert parse_granted_scopes(granted) == parse_scopes(granted).scopes
    assert parse_granted_scopes("patient%2FPatient.r", decode_slash=True) != parse_granted_scopes("patient%2FPatient.r")


def test_a_long_grant_is_read_without_being_remembered() -> None:
    text = " ".join(f"patient/Observation.rs?code={'x' * 100}{number}" for number in range(100))
    assert parse_granted_scopes(text) == parse_scopes(text).scopes
    assert parse_granted_scopes(text) is not parse_granted_scopes(text)
