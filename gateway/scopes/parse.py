"""From a scope string to scopes: total, strict, and never cut to a valid prefix (checklist SC-1..SC-24)."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from gateway.scopes.model import (
    ANY_TYPE,
    Constraint,
    Context,
    ExtensionScope,
    IdentityScope,
    LaunchScope,
    Letter,
    RefreshScope,
    ResourceScope,
    Scope,
)
from gateway.scopes.resource_types import RESOURCE_TYPES

# A scope longer than this is no sentence a person could consent to; a string longer than the second does not fit
# into any header, and more scopes than the third are more than R4 has types times the letters that differ.
MAX_SCOPE_LENGTH: Final = 2048
MAX_STRING_LENGTH: Final = 65536
MAX_SCOPES: Final = 1000

# v1 words as letters (SC-8).
V1_WORDS: Final = {"read": "rs", "write": "cud", "*": "cruds"}

# They shape an answer and restrict nothing, or widen it (SC-24).
_RESULT_PARAMETERS = frozenset(
    {
        "_include",
        "_revinclude",
        "_count",
        "_offset",
        "_sort",
        "_summary",
        "_elements",
        "_format",
        "_pretty",
        "_total",
        "_contained",
        "_containedType",
        "_graph",
        "_page",
    }
)
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_LARK = Lark(
    Path(__file__).with_name("grammar.lark").read_text(encoding="ascii"), parser="lalr", maybe_placeholders=True
)


class ScopeError(Exception):
    """A scope that grants nothing. `column` counts from 1."""

    def __init__(self, text: str, column: int, message: str) -> None:
        super().__init__(f"{message} (column {column} of {text[:100]!r})")
        self.text = text
        self.column = column
        self.message = message


@dataclass(frozen=True, slots=True)
class ParsedScopes:
    """The scopes of a string in order, without repeats, and those that were refused."""

    scopes: tuple[Scope, ...]
    refused: tuple[ScopeError, ...]


def parse_scopes(text: str, *, decode_slash: bool = False) -> ParsedScopes:
    """The scopes of a space-separated string; a bad one is refused by itself (SC-6).

    `decode_slash` reads `%2f` as the slash after the context, as Entra ID writes it (enforcement.md 8). Raises
    `ScopeError` only where the string as a whole is too long to be read.
    """
    if len(text) > MAX_STRING_LENGTH:
        raise ScopeError(text, MAX_STRING_LENGTH + 1, "the scope string is longer than 64 KiB")
    words = [word for word in text.split(" ") if word]
    if len(words) > MAX_SCOPES:
        raise ScopeError(text, 1, f"the scope string names more than {MAX_SCOPES} scopes")
    scopes: dict[Scope, None] = {}
    refused: list[ScopeError] = []
    for word in words:
        try:
            scopes[parse_scope(_with_slash(word) if decode_slash else word)] = None
        except ScopeError as error:
            refused.append(error)
    return ParsedScopes(tuple(scopes), tuple(refused))


def _with_slash(word: str) -> str:
    return re.sub(r"^(patient|user|system|launch)%2[fF]", r"\1/", word)


@lru_cache(maxsize=4096)
def parse_scope(text: str) -> Scope:
    """One scope as a value. Total: raises `ScopeError` for everything that is not exactly one scope."""
    if len(text) > MAX_SCOPE_LENGTH:
        raise ScopeError(text, MAX_SCOPE_LENGTH + 1, "the scope is longer than 2048 characters")
    try:
        tree = _LARK.parse(text)
    except UnexpectedInput as error:
        column = error.column if error.column and error.column > 0 else len(text) + 1
        raise ScopeError(text, column, "this is not a SMART scope from here on") from None
    return _scope(text, _only_tree(tree))


def _only_tree(tree: Tree[Token]) -> Tree[Token]:
    child = tree.children[0] if tree.data == "start" else tree
    assert isinstance(child, Tree)
    return child


def _scope(text: str, tree: Tree[Token]) -> Scope:
    tokens = [child for child in tree.children if isinstance(child, Token)]
    match tree.data:
        case "launch":
            return LaunchScope()
        case "launch_context":
            return LaunchScope(str(tokens[0]), str(tokens[1]) if len(tokens) > 1 else None)
        case "identity":
            return IdentityScope(str(tokens[0]))
        case "refresh":
            return RefreshScope(str(tokens[0]))
        case "extension":
            return ExtensionScope(str(tokens[0]))
        case _:
            return _resource(text, tree, tokens)


def _resource(text: str, tree: Tree[Token], tokens: list[Token]) -> ResourceScope:
    context, resource_type, permission = tokens
    if resource_type != ANY_TYPE and resource_type not in RESOURCE_TYPES:
        _refuse(text, resource_type, f"FHIR R4 has no resource type {resource_type}")
    v1 = tree.data == "v1"
    letters = V1_WORDS[permission] if v1 else str(permission)
    pairs = [child for child in tree.children if isinstance(child, Tree)]
    return ResourceScope(
        Context(context),
        str(resource_type),
        frozenset(Letter(letter) for letter in letters),
        tuple(_constraint(text, pair, str(resource_type)) for pair in pairs),
        v1,
    )


def _constraint(text: str, pair: Tree[Token], resource_type: str) -> Constraint:
    name, modifier, value = pair.children
    assert isinstance(name, Token)
    assert isinstance(value, Token)
    if name in _RESULT_PARAMETERS:
        _refuse(text, name, f"{name} does not restrict what is found, so it cannot stand in a scope")
    decoded = _decoded(text, value)
    if name == "_type":
        if resource_type != ANY_TYPE:
            _refuse(text, name, "_type belongs to a scope for all types")
        for one in decoded.split(","):
            if one not in RESOURCE_TYPES:
                _refuse(text, value, f"FHIR R4 has no resource type {one[:64]!r}")
    return Constraint(str(name), str(modifier) if isinstance(modifier, Token) else None, decoded)


def _decoded(text: str, value: Token) -> str:
    """Percent-decoded once; `+` stays `+` (edge case 90)."""
    if _PERCENT.search(value):
        _refuse(text, value, "a percent sign begins no valid escape")
    try:
        decoded = unquote_to_bytes(str(value)).decode()
    except UnicodeDecodeError:
        _refuse(text, value, "the escapes are not UTF-8")
    if _CONTROL.search(decoded) or not decoded.strip():
        _refuse(text, value, "the value is blank or holds control characters")
    return decoded


def _refuse(text: str, token: Token, message: str) -> NoReturn:
    raise ScopeError(text, token.column or 1, message)
