"""Strict parsing of scope strings. An invalid scope is never shortened to a valid prefix (SC-1..SC-24).

The grammar of SMART scopes is regular, so regular expressions read it in time that grows with the length of the text
only. Anyone may send an authorization request, and each of its scopes costs microseconds.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.scopes.constraint_value_syntax import find_flaw, split_alternatives
from gateway.scopes.letters import LETTERS_BY_SPELLING
from gateway.scopes.model import (
    ANY_TYPE,
    Constraint,
    Context,
    ExtensionScope,
    IdentityScope,
    LaunchScope,
    RefreshScope,
    ResourceScope,
    Scope,
)
from gateway.scopes.resource_types import RESOURCE_TYPES
from gateway.scopes.scope_syntax import EXTENSION, LAUNCH, PAIR, RESOURCE, find_syntax_error
from gateway.scopes.v1 import V1_WORDS

# Lengths in characters. A longer scope could not be shown on a consent page (SC-25). A longer string exceeds the header
# limits of servers. The number of scopes is more than six for each resource type of R4.
MAX_SCOPE_LENGTH: Final = 2048
MAX_STRING_LENGTH: Final = 65536
MAX_SCOPES: Final = 1000
# Remembered scopes take about a hundred times the memory of their text.
_MAX_REMEMBERED_LENGTH = 4096

# Result parameters do not restrict a search, or widen it (SC-24).
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
# `launch/` scopes have resource types in lower case (SC-39).
_LAUNCH_TYPES = frozenset(name.lower() for name in RESOURCE_TYPES)
_CONTEXTS = {context.value: context for context in Context}
_FIXED_SCOPES: dict[str, Scope] = {
    "launch": LaunchScope(),
    **{name: IdentityScope(name) for name in ("openid", "fhirUser", "profile")},
    **{name: RefreshScope(name) for name in ("offline_access", "online_access")},
}
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODED_SLASH = re.compile(r"^(patient|user|system|launch)%2[fF]")


class ScopeError(Exception):
    """A scope is invalid and grants nothing. `column` counts from 1."""

    def __init__(self, text: str, column: int, message: str) -> None:
        super().__init__(text, column, message)
        self.text = text
        self.column = column
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} (column {self.column} of {self.text[:100]!r})"


@dataclass(frozen=True, slots=True)
class ParsedScopes:
    """The valid scopes of a string, in order and without duplicates, and the errors of the others."""

    scopes: tuple[Scope, ...]
    refused: tuple[ScopeError, ...]


def parse_scopes(text: str, *, decode_slash: bool = False) -> ParsedScopes:
    """Parse a space-separated string. An invalid scope does not affect the others (SC-6).

    `decode_slash` accepts `%2f` as the slash after the context, as Entra ID writes it (enforcement.md 8); the texts and
    columns of errors refer to the decoded scope. Raises `ScopeError` only if the string is too long or has too many
    scopes.
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
            scopes[parse_scope(_decode_slash(word) if decode_slash else word)] = None
        except ScopeError as error:
            # Without its traceback: that would keep the frames of the parser alive.
            refused.append(error.with_traceback(None))
    return ParsedScopes(tuple(scopes), tuple(refused))


def parse_granted_scopes(text: str, *, decode_slash: bool = False) -> tuple[Scope, ...]:
    """The valid scopes of a text that was granted: they are parsed once, however many requests need them.

    Only texts of grants are remembered. What anyone may send would push them out. Raises `ScopeError`.
    """
    if len(text) > _MAX_REMEMBERED_LENGTH:
        return parse_scopes(text, decode_slash=decode_slash).scopes
    return _parse_remembered(text, decode_slash)


@lru_cache(maxsize=512)
def _parse_remembered(text: str, decode_slash: bool) -> tuple[Scope, ...]:
    return parse_scopes(text, decode_slash=decode_slash).scopes


def _decode_slash(word: str) -> str:
    return _ENCODED_SLASH.sub(r"\1/", word)


def parse_scope(text: str) -> Scope:
    """Parse one scope. Raises `ScopeError` for any text that is not exactly one scope."""
    if len(text) > MAX_SCOPE_LENGTH:
        raise ScopeError(text, MAX_SCOPE_LENGTH + 1, "the scope is longer than 2048 characters")
    if resource := RESOURCE.fullmatch(text):
        return _build_resource_scope(text, resource)
    if fixed := _FIXED_SCOPES.get(text):
        return fixed
    if launch := LAUNCH.fullmatch(text):
        return _build_launch_scope(text, launch)
    if EXTENSION.fullmatch(text):
        return ExtensionScope(text)
    raise _syntax_error(text)


def _syntax_error(text: str) -> ScopeError:
    column = find_syntax_error(text)
    if column > len(text):
        return ScopeError(text, column, "the scope is incomplete")
    return ScopeError(text, column, "the text from here on does not match the syntax of a SMART scope")


def _build_launch_scope(text: str, launch: re.Match[str]) -> LaunchScope:
    resource_type, role = launch.groups()
    if resource_type not in _LAUNCH_TYPES:
        message = f"FHIR R4 has no resource type with the lower-case name {resource_type}"
        raise ScopeError(text, launch.start(1) + 1, message)
    return LaunchScope(resource_type, role)


def _build_resource_scope(text: str, resource: re.Match[str]) -> ResourceScope:
    context, resource_type, word, spelling, query = resource.groups()
    letters = V1_WORDS[word] if word else LETTERS_BY_SPELLING.get(spelling)
    pairs = () if query is None else _match_pairs(text, query, resource.start(5))
    if letters is None or pairs is None:
        raise _syntax_error(text)
    if resource_type != ANY_TYPE and resource_type not in RESOURCE_TYPES:
        raise ScopeError(text, resource.start(2) + 1, f"FHIR R4 has no resource type {resource_type}")
    constraints = tuple([_build_constraint(text, pair, resource_type) for pair in pairs])
    return ResourceScope(_CONTEXTS[context], resource_type, letters, constraints, is_v1=word is not None)


def _match_pairs(text: str, query: str, start: int) -> list[re.Match[str]] | None:
    """The constraints in the text, whose query starts at `start`. None if one of them is none."""
    pairs = []
    for piece in query.split("&"):
        pair = PAIR.fullmatch(text, start, start + len(piece))
        if pair is None:
            return None
        pairs.append(pair)
        start = pair.end() + 1
    return pairs


def _build_constraint(text: str, pair: re.Match[str], resource_type: str) -> Constraint:
    name, modifier, value = pair.groups()
    parameter = name.partition(".")[0]
    if parameter in _RESULT_PARAMETERS:
        message = f"{parameter} does not restrict a search, so it is not allowed in a scope"
        raise ScopeError(text, pair.start(1) + 1, message)
    decoded_value = _decode_value(text, value, pair.start(3) + 1)
    if parameter == "_type":
        _check_type_constraint(text, pair, decoded_value, resource_type)
    return Constraint(name, modifier, decoded_value)


def _check_type_constraint(text: str, pair: re.Match[str], decoded_value: str, resource_type: str) -> None:
    """Accept only plain `_type=A,B`, in a scope for all types. `_type:not` would grant the types that it excludes."""
    column = pair.start(1) + 1
    if pair[1] != "_type" or pair[2] is not None:
        raise ScopeError(text, column, "_type takes no modifier and no chain")
    if resource_type != ANY_TYPE:
        raise ScopeError(text, column, "_type is allowed only in a scope for all types")
    for type_name in split_alternatives(decoded_value):
        if type_name not in RESOURCE_TYPES:
            raise ScopeError(text, pair.start(3) + 1, f"FHIR R4 has no resource type {type_name[:64]!r}")


def _decode_value(text: str, value: str, column: int) -> str:
    """Percent-decode once; `+` stays `+` (edge case 90)."""
    decoded = value
    if "%" in value:
        if _BROKEN_ESCAPE.search(value):
            raise ScopeError(text, column, "a percent sign does not begin a valid escape")
        try:
            decoded = unquote_to_bytes(value).decode()
        except UnicodeDecodeError:
            raise ScopeError(text, column, "the percent-encoded bytes are not UTF-8") from None
    flaw = find_flaw(decoded)
    if flaw is not None:
        raise ScopeError(text, column, flaw)
    return decoded
