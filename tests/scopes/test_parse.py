"""The language of scopes, by corpus, by table and by property (checklist SC-1..SC-24, edge cases 84-96)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.scopes.model import Constraint, Context, IdentityScope, Letter, ResourceScope
from gateway.scopes.parse import MAX_SCOPE_LENGTH, MAX_SCOPES, ScopeError, parse_scope, parse_scopes
from gateway.scopes.unparse import unparse, unparse_scope

HERE = Path(__file__).parent


def corpus(name: str) -> list[str]:
    """The lines of a corpus without its comments."""
    lines = HERE.joinpath(name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("text", corpus("good.txt"))
def test_a_good_scope_parses_and_is_written_again_as_it_stood(text: str) -> None:
    assert unparse_scope(parse_scope(text)) == text


@pytest.mark.parametrize("text", corpus("bad.txt"))
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


@pytest.mark.parametrize(("text", "letters"), LETTERS.values(), ids=LETTERS)
def test_letters(text: str, letters: str | None) -> None:
    scope = parse_scope(text)
    assert isinstance(scope, ResourceScope)
    assert scope.letters == frozenset(map(Letter, letters or text.rsplit(".", 1)[1]))
    assert scope.v1 == text.endswith((".read", ".write", ".*"))


def test_a_constraint_keeps_name_modifier_and_decoded_value() -> None:
    scope = parse_scope("patient/Observation.rs?code:in=http://x|a%26b&date=ge2020+01")
    assert isinstance(scope, ResourceScope)
    assert scope.constraints == (
        Constraint("code", "in", "http://x|a&b"),
        Constraint("date", None, "ge2020+01"),
    )


def test_edge_92_spaces_and_repeats_collapse_and_order_stays() -> None:
    parsed = parse_scopes("openid  openid fhirUser ")
    assert parsed.scopes == (IdentityScope("openid"), IdentityScope("fhirUser"))
    assert parsed.refused == ()


def test_edge_92_a_tab_refuses_the_word_it_stands_in_and_no_other() -> None:
    parsed = parse_scopes("openid\tfhirUser launch")
    assert [error.text for error in parsed.refused] == ["openid\tfhirUser"]
    assert len(parsed.scopes) == 1


def test_an_encoded_slash_is_read_only_where_the_issuer_writes_it() -> None:
    text = "patient%2FObservation.rs user%2f*.r"
    assert len(parse_scopes(text).refused) == 2
    assert unparse(parse_scopes(text, decode_slash=True).scopes) == "patient/Observation.rs user/*.r"


TOO_LONG = {
    "a scope of more than 2048 characters": "patient/Observation.rs?code=" + "a" * MAX_SCOPE_LENGTH,
}


@pytest.mark.parametrize("text", TOO_LONG.values(), ids=TOO_LONG)
def test_length_caps_refuse_one_scope(text: str) -> None:
    with pytest.raises(ScopeError):
        parse_scope(text)
    assert parse_scopes(text).scopes == ()


@pytest.mark.parametrize(
    "text", ["a" * 65537, " ".join(["openid"] * (MAX_SCOPES + 1))], ids=["over 64 KiB", "over 1000 scopes"]
)
def test_length_caps_refuse_the_whole_string(text: str) -> None:
    with pytest.raises(ScopeError):
        parse_scopes(text)


@given(st.text())
def test_parsing_is_total(text: str) -> None:
    try:
        scope = parse_scope(text)
    except ScopeError:
        return
    assert parse_scope(unparse_scope(scope)) == scope


values = st.text(
    st.characters(min_codepoint=0x20, exclude_characters="\x7f", exclude_categories=("Cs", "Cc")), min_size=1
)
pairs = st.builds(
    Constraint, st.sampled_from(["code", "category", "_tag"]), st.sampled_from([None, "in"]), values
).filter(lambda pair: bool(pair.value.strip()))


@given(st.sampled_from(Context), st.frozensets(st.sampled_from(Letter), min_size=1), st.lists(pairs, max_size=3))
def test_what_is_written_is_read_back_as_the_same_value(
    context: Context, letters: frozenset[Letter], constraints: list[Constraint]
) -> None:
    scope = ResourceScope(context, "Observation", letters, tuple(constraints))
    text = unparse_scope(scope)
    assert text.isascii()
    assert " " not in text
    if len(text) <= MAX_SCOPE_LENGTH:
        assert parse_scope(text) == scope
