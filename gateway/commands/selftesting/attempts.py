"""The leak corpus as data: attempts, their requests, and the two patients that they are about."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import yaml


class Expectation(StrEnum):
    """What an answer must be, beside having nothing of the other patient in it."""

    HIDDEN = "hidden"
    REFUSED = "refused"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Subjects:
    """Two patients with records. `a` is the token's patient; nothing of `b` may be seen.

    All members but `base`, the FHIR base, are bare ids: `own` and `own_vital` of A's Observations, `hidden` and
    `hidden_binary` of B's Observation and Binary; nothing has the id `absent`.
    """

    base: str
    a: str
    b: str
    own: str
    own_vital: str
    hidden: str
    hidden_binary: str
    absent: str

    def values(self) -> dict[str, str]:
        """What stands for each name in braces."""
        names = ("base", "a", "b", "own", "own_vital", "hidden", "hidden_binary", "absent")
        return {**{name: getattr(self, name) for name in names}, "encoded_b": f"%{ord(self.b[0]):02X}{self.b[1:]}"}


@dataclass(frozen=True, slots=True)
class AttemptedRequest:
    """A request of an attempt; its texts have names in braces. `target` begins behind the FHIR base."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    form: str | None = None
    body: Any = None

    def filled(self, values: Mapping[str, str]) -> "AttemptedRequest":
        """The request with a value for each name."""
        headers = MappingProxyType({name: _fill(value, values) for name, value in self.headers.items()})
        form = None if self.form is None else _fill(self.form, values)
        return AttemptedRequest(self.method, _fill(self.target, values), headers, form, _fill_in(self.body, values))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt with a token for patient A. `only` are the types that its answers may have; empty: any."""

    id: str
    attempt: str
    scope: str
    requests: tuple[AttemptedRequest, ...]
    expect: Expectation
    only: frozenset[str]
    same_for: tuple[str, ...]
    changes: bool


def _fill(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _fill_in(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _fill(value, values)
    if isinstance(value, list):
        return [_fill_in(item, values) for item in value]
    if isinstance(value, dict):
        return {name: _fill_in(item, values) for name, item in value.items()}
    return value


def read_attempts() -> tuple[Attempt, ...]:
    """All attempts, in the order of the file."""
    text = (files("gateway.commands.selftesting") / "attempts.yaml").read_text(encoding="utf-8")
    return tuple(_read_attempt(row) for row in yaml.safe_load(text))


def _read_attempt(row: dict[str, Any]) -> Attempt:
    return Attempt(
        id=row["id"],
        attempt=row["attempt"],
        scope=row["scope"],
        requests=tuple(_read_request(request) for request in row["requests"]),
        expect=Expectation(row.get("expect", "hidden")),
        only=frozenset(row.get("only", ())),
        same_for=tuple(row.get("same_for", ())),
        changes=row.get("changes", False),
    )


def _read_request(row: str | dict[str, Any]) -> AttemptedRequest:
    parts: dict[str, Any] = {"send": row} if isinstance(row, str) else row
    method, _, target = parts["send"].partition(" ")
    return AttemptedRequest(method, target, parts.get("headers", {}), parts.get("form"), parts.get("body"))


def attempts_by_scope() -> Iterator[tuple[str, tuple[Attempt, ...]]]:
    """The attempts that have a scope in common, for each scope."""
    attempts = read_attempts()
    for scope in dict.fromkeys(attempt.scope for attempt in attempts):
        yield scope, tuple(attempt for attempt in attempts if attempt.scope == scope)
