"""Invariant: whatever the text, each word of it is either refused by a ScopeError that points into it, or read as one
scope that permits no letter, type or constraint that is not spelled in the word, and that is read back as the same
when it is written again; and what several scopes permit together is neither lost nor widened by their shortest form.

Run it with `python -m tests.scopes [libFuzzer options]`.
"""

import itertools
import random
import re
import unicodedata
from dataclasses import replace
from urllib.parse import unquote

from gateway.scopes.algebra import covers, covers_any, intersect, normalise
from gateway.scopes.model import ANY_TYPE, Letter, ResourceScope, Scope
from gateway.scopes.parse import MAX_SCOPE_LENGTH, ScopeError, parse_scopes
from gateway.scopes.resource_types import RESOURCE_TYPES
from gateway.scopes.sentence import sentence
from gateway.scopes.unparse import unparse_scope

# The head of a resource scope, found anew and by another way than the grammar's.
_HEAD = re.compile(r"(patient|user|system)/(\*|[A-Za-z]+)\.(read|write|\*|[cruds]{1,5})")
_WORDS = {"read": "rs", "write": "cud", "*": "cruds"}


def check(data: bytes) -> None:
    """One input: the text as UTF-8, what is not UTF-8 as lone surrogates."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        parsed = parse_scopes(text)
    except ScopeError as error:
        assert error.text == text
        return
    words = [word for word in text.split(" ") if word]
    for refusal in parsed.refused:
        assert refusal.text in words, "a refusal names another text"
        assert 1 <= refusal.column <= len(refusal.text) + 1, "a refusal points out of the text"
    refused = {refusal.text for refusal in parsed.refused}
    read = [word for word in dict.fromkeys(words) if word not in refused]
    assert len(parsed.scopes) <= len(read), "there are more scopes than words"
    for word in read:
        _check_one(word)
    _check_together(parsed.scopes)


def _check_one(word: str) -> None:
    (scope,) = parse_scopes(word).scopes
    written = unparse_scope(scope)
    if len(written) <= MAX_SCOPE_LENGTH:
        assert parse_scopes(written).scopes == (scope,), "it reads differently"
    said = sentence(scope)
    assert not any(unicodedata.category(one) in {"Cc", "Cf", "Zl", "Zp"} for one in said), "a sentence hides something"
    if isinstance(scope, ResourceScope):
        _check_resource(word, scope)
    else:
        assert written == word, "a fixed word is written in another way"


def _check_resource(word: str, scope: ResourceScope) -> None:
    head, mark, query = word.partition("?")
    spelled = _HEAD.fullmatch(head)
    assert spelled, "there is no such scope"
    assert (scope.context, scope.resource_type) == (spelled[1], spelled[2]), "it speaks of something else"
    assert scope.resource_type in RESOURCE_TYPES | {ANY_TYPE}, "there is no such type"
    letters = _WORDS.get(spelled[3], spelled[3])
    assert "".join(letter for letter in Letter if letter in scope.letters) == letters, "the letters are others"
    pairs = query.split("&") if mark else []
    assert len(pairs) == len(scope.constraints), "a constraint is lost"
    for pair, constraint in zip(pairs, scope.constraints, strict=True):
        name = f"{constraint.name}:{constraint.modifier}" if constraint.modifier else constraint.name
        assert (name, constraint.value) == (pair.partition("=")[0], unquote(pair.partition("=")[2])), "it says less"


def _check_together(scopes: tuple[Scope, ...]) -> None:
    few = scopes[:8]
    short = normalise(few)
    assert normalise(short) == short, "the shortest form has a shorter one"
    assert all(covers_any(few, one) for scope in short for one in _by_letter(scope)), "the shortest form permits more"
    assert all(covers_any(short, one) for scope in few for one in _by_letter(scope)), "the shortest form permits less"
    resource_scopes = [scope for scope in few if isinstance(scope, ResourceScope)]
    for one, other in itertools.product(resource_scopes, repeat=2):
        both = intersect(one, other)
        if both is not None:
            assert covers(one, both), "what both permit is not permitted by the first"
            assert covers(other, both), "what both permit is not permitted by the second"


def _by_letter(scope: Scope) -> list[Scope]:
    if not isinstance(scope, ResourceScope):
        return [scope]
    return [replace(scope, letters=frozenset({letter}), v1=False) for letter in scope.letters]


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


def mutated(chance: random.Random) -> bytes:
    """A seed, or two joined, with some bytes gone and some pieces put in."""
    text = bytearray(b" ".join(chance.sample(SEEDS, chance.randint(1, 2))))
    for _ in range(chance.randint(0, 6)):
        place = chance.randrange(len(text) + 1)
        if chance.random() < 0.4:
            del text[place : place + chance.randint(1, 12)]
        else:
            text[place:place] = chance.choice(PIECES)
    return bytes(text)
