"""The fuzz target of the scope parser and algebra.

Invariant: each word of any text is either refused with a ScopeError whose column is in the word, or parsed into one
scope. That scope permits no letter, type or constraint that is not in the word, and formatting and parsing it returns
an equal scope. The shortest form of several scopes permits the same as the scopes themselves.

Run it with `python -m tests.scopes [libFuzzer options]`.
"""

import itertools
import random
import re
import unicodedata
from dataclasses import replace
from urllib.parse import unquote

from gateway.scopes.algebra import covers, intersect, normalise
from gateway.scopes.describe_scope import describe_scope
from gateway.scopes.format_scopes import format_scope
from gateway.scopes.model import ANY_TYPE, Letter, ResourceScope, Scope
from gateway.scopes.parse_scopes import MAX_SCOPE_LENGTH, ScopeError, parse_scopes
from gateway.scopes.resource_types import RESOURCE_TYPES

# The head of a resource scope, parsed independently of the grammar.
_HEAD = re.compile(r"(patient|user|system)/(\*|[A-Za-z]+)\.(read|write|\*|[cruds]{1,5})")
_V1_LETTERS = {"read": "rs", "write": "cud", "*": "cruds"}


def check(data: bytes) -> None:
    """Check one input: the text as UTF-8, with lone surrogates for other bytes."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        parsed = parse_scopes(text)
    except ScopeError as error:
        assert error.text == text
        return
    words = [word for word in text.split(" ") if word]
    for scope_error in parsed.refused:
        assert scope_error.text in words, "an error has another text"
        assert 1 <= scope_error.column <= len(scope_error.text) + 1, "the column of an error is outside the text"
    refused = {scope_error.text for scope_error in parsed.refused}
    valid = [word for word in dict.fromkeys(words) if word not in refused]
    assert len(parsed.scopes) <= len(valid), "there are more scopes than words"
    for word in valid:
        _check_word(word)
    _check_together(parsed.scopes)


def _check_word(word: str) -> None:
    (scope,) = parse_scopes(word).scopes
    formatted = format_scope(scope)
    if len(formatted) <= MAX_SCOPE_LENGTH:
        assert parse_scopes(formatted).scopes == (scope,), "the formatted scope is parsed differently"
    sentence = describe_scope(scope)
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"} for character in sentence), (
        "a sentence has invisible characters"
    )
    if isinstance(scope, ResourceScope):
        _check_resource(word, scope)
    else:
        assert formatted == word, "a fixed scope is formatted differently"


def _check_resource(word: str, scope: ResourceScope) -> None:
    head, mark, query = word.partition("?")
    match = _HEAD.fullmatch(head)
    assert match, "the scope is not a resource scope"
    assert (scope.context, scope.resource_type) == (match[1], match[2]), "context or type differ"
    assert scope.resource_type in RESOURCE_TYPES | {ANY_TYPE}, "the type is unknown"
    letters = _V1_LETTERS.get(match[3], match[3])
    assert "".join(letter for letter in Letter if letter in scope.letters) == letters, "the letters differ"
    pairs = query.split("&") if mark else []
    assert len(pairs) == len(scope.constraints), "a constraint is lost"
    for pair, constraint in zip(pairs, scope.constraints, strict=True):
        name = f"{constraint.name}:{constraint.modifier}" if constraint.modifier else constraint.name
        assert (name, constraint.value) == (pair.partition("=")[0], unquote(pair.partition("=")[2])), (
            "a constraint differs"
        )


def _check_together(scopes: tuple[Scope, ...]) -> None:
    subset = scopes[:8]
    short = normalise(subset)
    assert normalise(short) == short, "the shortest form is not stable"
    assert all(any(covers(wide, part) for wide in subset) for scope in short for part in _split_by_letter(scope)), (
        "the shortest form permits more"
    )
    assert all(any(covers(wide, part) for wide in short) for scope in subset for part in _split_by_letter(scope)), (
        "the shortest form permits less"
    )
    resource_scopes = [scope for scope in subset if isinstance(scope, ResourceScope)]
    for first, second in itertools.product(resource_scopes, repeat=2):
        common = intersect(first, second)
        if common is not None:
            assert covers(first, common), "what both permit is not permitted by the first"
            assert covers(second, common), "what both permit is not permitted by the second"


def _split_by_letter(scope: Scope) -> list[Scope]:
    if not isinstance(scope, ResourceScope):
        return [scope]
    return [replace(scope, letters=frozenset({letter}), is_v1=False) for letter in scope.letters]


SEEDS = (
    b"patient/Observation.rs?category=http://c|laboratory&code=a,b patient/Observation.read launch",
    b"patient/*.rs?_type=Observation,Condition user/*.* system/Patient.cruds openid  fhirUser offline_access",
    b"launch/list?role=https://example.org/x __x.manage https://ehr.example.org/scopes/x.y patient/Observation.sr",
    b"user/Group.r?code:not=a%26b%20c&date=ge2020-01-01T00:00:00+01:00 user/Group.s?code=a%5C,b,%C3%A4 profile",
    b"patient/*.r?_security=x&_security=y patient/Basic.write?code=a patient/Patient.rs?_count=1",
)
PIECES = (
    *(bytes([byte]) for byte in b' /.?&=:,|*%crudsa_"\\+\t\x00\xff'),
    *b"patient/ user/ system/ launch/ Observation Patient .read .write .rs .cruds __ ://".split(),
    *b"?code= &status= _type= _include= ?role= %2f %5C %E2%80%AE".split(),
    b" openid ",
)


def mutate_seeds(rng: random.Random) -> bytes:
    """A seed, or two joined, with some bytes removed and some pieces inserted."""
    text = bytearray(b" ".join(rng.sample(SEEDS, rng.randint(1, 2))))
    for _ in range(rng.randint(0, 6)):
        position = rng.randrange(len(text) + 1)
        if rng.random() < 0.4:
            del text[position : position + rng.randint(1, 12)]
        else:
            text[position:position] = rng.choice(PIECES)
    return bytes(text)
