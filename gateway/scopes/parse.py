"""From a scope string to scopes: total, strict, and never cut to a valid prefix (checklist SC-1..SC-24)."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

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
from gateway.scopes.v1 import V1_WORDS
from gateway.scopes.values import alternatives, flaw

# In characters. A longer scope is no sentence that a person could agree to (SC-25). A longer string fits into no header
# that servers take. More scopes than six for each type of R4 are no grant that anybody wrote.
MAX_SCOPE_LENGTH: Final = 2048
MAX_STRING_LENGTH: Final = 65536
MAX_SCOPES: Final = 1000

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
# `launch/` names a type in lower case (SC-39).
_LAUNCH_TYPES = frozenset(name.lower() for name in RESOURCE_TYPES)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODED_SLASH = re.compile(r"^(patient|user|system|launch)%2[fF]")

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

    `decode_slash` reads `%2f` as the slash after the context, as Entra ID writes it (enforcement.md 8); the texts and
    columns of errors are those after that. Raises `ScopeError` only where the string is too long or names too many.
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
            # A new one: what was raised keeps the parser's frames alive for as long as somebody keeps the answer.
            refused.append(ScopeError(error.text, error.column, error.message))
    return ParsedScopes(tuple(scopes), tuple(refused))


def _with_slash(word: str) -> str:
    return _ENCODED_SLASH.sub(r"\1/", word)


@lru_cache(maxsize=4096)
def parse_scope(text: str) -> Scope:
    """One scope as a value. Total: raises `ScopeError` for everything that is not exactly one scope."""
    if len(text) > MAX_SCOPE_LENGTH:
        raise ScopeError(text, MAX_SCOPE_LENGTH + 1, "the scope is longer than 2048 characters")
    try:
        tree = _LARK.parse(text)
    except UnexpectedToken as error:
        if error.token.type == "$END":
            raise ScopeError(text, len(text) + 1, "the scope ends before it is complete") from None
        raise ScopeError(text, error.column, "this is not a SMART scope from here on") from None
    except UnexpectedCharacters as error:
        raise ScopeError(text, error.column, "this is not a SMART scope from here on") from None
    return _scope(text, tree)


def _scope(text: str, tree: Tree[Token]) -> Scope:
    tokens = [child for child in tree.children if isinstance(child, Token)]
    match tree.data:
        case "launch":
            return LaunchScope()
        case "launch_context":
            return _launch(text, *tokens)
        case "identity":
            return IdentityScope(str(tokens[0]))
        case "refresh":
            return RefreshScope(str(tokens[0]))
        case "extension":
            return ExtensionScope(str(tokens[0]))
        case _:
            return _resource(text, tree, tokens)


def _launch(text: str, resource_type: Token, role: Token | None = None) -> LaunchScope:
    if resource_type not in _LAUNCH_TYPES:
        _refuse(text, resource_type, f"FHIR R4 has no resource type whose name is {resource_type} in lower case")
    return LaunchScope(str(resource_type), None if role is None else str(role))


def _resource(text: str, tree: Tree[Token], tokens: list[Token]) -> ResourceScope:
    context, resource_type, permission = tokens
    if resource_type != ANY_TYPE and resource_type not in RESOURCE_TYPES:
        _refuse(text, resource_type, f"FHIR R4 has no resource type {resource_type}")
    v1 = tree.data == "v1"
    letters = V1_WORDS[permission] if v1 else frozenset(map(Letter, permission))
    pairs = [child for child in tree.children if isinstance(child, Tree)]
    return ResourceScope(
        Context(context),
        str(resource_type),
        letters,
        tuple(_constraint(text, pair, str(resource_type)) for pair in pairs),
        v1,
    )


def _constraint(text: str, pair: Tree[Token], resource_type: str) -> Constraint:
    name, modifier, value = pair.children
    assert isinstance(name, Token)
    assert isinstance(value, Token)
    first = name.partition(".")[0]
    if first in _RESULT_PARAMETERS:
        _refuse(text, name, f"{first} does not restrict what is found, so it cannot stand in a scope")
    decoded = _decoded(text, value)
    if first == "_type":
        _check_type(text, pair, decoded, resource_type)
    return Constraint(str(name), str(modifier) if isinstance(modifier, Token) else None, decoded)


def _check_type(text: str, pair: Tree[Token], decoded: str, resource_type: str) -> None:
    """Plain `_type=A,B` in a scope for all types. Turned round by `:not` it would grant what it leaves out."""
    name, modifier, value = pair.children
    assert isinstance(name, Token)
    assert isinstance(value, Token)
    if name != "_type" or isinstance(modifier, Token):
        _refuse(text, name, "_type takes no modifier and no chain")
    if resource_type != ANY_TYPE:
        _refuse(text, name, "_type belongs to a scope for all types")
    for one in alternatives(decoded):
        if one not in RESOURCE_TYPES:
            _refuse(text, value, f"FHIR R4 has no resource type {one[:64]!r}")


def _decoded(text: str, value: Token) -> str:
    """Percent-decoded once; `+` stays `+` (edge case 90)."""
    if _BROKEN_ESCAPE.search(value):
        _refuse(text, value, "a percent sign begins no valid escape")
    try:
        decoded = unquote_to_bytes(str(value)).decode()
    except UnicodeDecodeError:
        _refuse(text, value, "the escapes are not UTF-8")
    wrong = flaw(decoded)
    if wrong is not None:
        _refuse(text, value, wrong)
    return decoded


def _refuse(text: str, token: Token, message: str) -> NoReturn:
    raise ScopeError(text, token.column or 1, message)
