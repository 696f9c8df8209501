"""What exceeds the bounds of a scope is refused before it is parsed; what does not is parsed once."""

import pytest

from gateway.oauth.scope_limits import ScopeLimits
from gateway.scopes import parse_scopes as parser
from gateway.scopes.model import Scope
from gateway.scopes.parse_scopes import ScopeError

LIMITS = ScopeLimits(max_bytes=4000, max_scopes=30)


@pytest.fixture
def parsed_words(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows with each word that is parsed."""
    words: list[str] = []
    parse_scope = parser.parse_scope

    def parse(text: str) -> Scope:
        words.append(text)
        return parse_scope(text)

    monkeypatch.setattr(parser, "parse_scope", parse)
    return words


ABOVE = {
    "too long": "openid " + "a" * 4000,
    "too many words that are no scopes": " ".join(f"bad{number}" for number in range(31)),
    "too many scopes": " ".join(f"patient/*.rs?_tag={number}" for number in range(31)),
    "the same scope too often": " ".join(["openid"] * 31),
    "too many constraints of one scope": "patient/*.rs?" + "&".join(f"_tag={number}" for number in range(31)),
    "too many constraints together": " ".join(f"user/*.rs?code={number}&_tag=a" for number in range(16)),
}


@pytest.mark.parametrize("text", ABOVE.values(), ids=ABOVE)
def test_a_scope_above_the_bounds_is_refused_unread(text: str, parsed_words: list[str]) -> None:
    with pytest.raises(ScopeError):
        LIMITS.parse(text)
    assert parsed_words == []


WITHIN = {
    "words that are no scopes": [f"bad{number}" for number in range(30)],
    "scopes": [f"patient/*.rs?_tag={number}" for number in range(30)],
    "constraints": ["patient/*.rs?" + "&".join(f"_tag={number}" for number in range(30))],
    "constraints of several": [f"user/*.rs?code={number}&_tag=a" for number in range(15)],
    "long scopes": ["patient/*.rs?code=" + "a" * 1900, "patient/*.rs?code=" + "b" * 1900],
}


@pytest.mark.parametrize("words", WITHIN.values(), ids=WITHIN)
def test_each_word_within_the_bounds_is_parsed_once(words: list[str], parsed_words: list[str]) -> None:
    parsed = LIMITS.parse(" ".join(words))
    assert len(parsed.scopes) + len(parsed.refused) == len(words)
    assert parsed_words == words


def test_one_scope_more_is_accepted_where_the_caller_may_have_added_it() -> None:
    text = " ".join(f"patient/*.rs?_tag={number}" for number in range(31))
    assert len(LIMITS.parse(text, spare=1).scopes) == 31


@pytest.mark.requirement("A-22", "edge-24")
def test_twenty_kilobytes_are_within_the_defaults() -> None:
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    text = " ".join(f"patient/Observation.rs?category={system}|made-up-{number}" for number in range(200))
    assert len(text) > 20_000
    assert len(ScopeLimits().parse(text).scopes) == 200
