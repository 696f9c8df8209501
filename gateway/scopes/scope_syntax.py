"""The syntax of one scope as regular expressions, made from the terminals of `grammar.lark` (SC-2).

Lark reads the grammar when this module is imported. Its parser takes 30 us for a scope, and an authorization request of
300 scopes, which anyone may send, has 3 ms. The grammar is regular, so that these expressions take 1 to 3 us, in
proportion to the length of the scope. Tests compare them with Lark's parser.
"""

import re
from pathlib import Path
from typing import Final

from lark import Lark

GRAMMAR: Final = Lark(Path(__file__).with_name("grammar.lark").read_text(encoding="ascii"), parser="lalr")
"""The grammar as Lark reads it."""

_TERMINALS = {terminal.name: terminal.pattern.to_regexp() for terminal in GRAMMAR.terminals}
_CONTEXT, _TYPE, _V1_WORD = _TERMINALS["CONTEXT"], _TERMINALS["TYPE"], _TERMINALS["WORD"]
_NAME, _MODIFIER, _VALUE = _TERMINALS["NAME"], _TERMINALS["MODIFIER"], _TERMINALS["VALUE"]
_LOWER_TYPE, _ROLE = _TERMINALS["LOWER_TYPE"], _TERMINALS["ROLE"]
# In any order: the parser names the right one in its error.
_LETTERS = "[cruds]{1,5}"
# The words that scopes begin with. No URI of an extension scope begins with one of them.
_WORDS = f"launch|openid|fhirUser|profile|offline_access|online_access|{_CONTEXT}"

RESOURCE: Final = re.compile(rf"({_CONTEXT})/({_TYPE})\.(?:({_V1_WORD})|({_LETTERS})(?:\?(.+))?)")
"""Context, type, and a v1 word, or letters in any order and the pairs after the question mark."""
PAIR: Final = re.compile(f"({_NAME})(?::({_MODIFIER}))?=({_VALUE})")
"""Name, modifier and encoded value of one constraint."""
LAUNCH: Final = re.compile(rf"launch/({_LOWER_TYPE})(?:\?role=({_ROLE}))?")
"""Lower-case type and role."""
EXTENSION: Final = re.compile(rf"(?!{_WORDS})(?:{_TERMINALS['URI']})|{_TERMINALS['PRIVATE']}")

# The longest beginning of a text that a scope could have.
_ORDERED_LETTERS = "(?=[cruds])c?r?u?d?s?"
_PAIRS_BEGINNING = rf"(?:{_NAME}(?::{_MODIFIER})?={_VALUE}&)*(?:{_NAME}(?::(?:{_MODIFIER})?)?(?:=(?:{_VALUE})?)?)?"
_BEGINNING = re.compile(
    rf"(?:{_CONTEXT})(?:/(?:(?:{_TYPE})(?:\.(?:{_V1_WORD}|{_ORDERED_LETTERS}(?:\?(?:{_PAIRS_BEGINNING}))?)?)?)?)?"
    rf"|launch(?:/(?:{_LOWER_TYPE}(?:\?role=(?:{_ROLE})?)?)?)?|{EXTENSION.pattern}|{_WORDS}|__|"
)


def find_syntax_error(text: str) -> int:
    """The column, counted from 1, at which a text that is no scope stops being like one."""
    beginning = _BEGINNING.match(text)
    assert beginning is not None, "the empty text is the beginning of every scope"
    return beginning.end() + 1
