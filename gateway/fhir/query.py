"""A FHIR search query as a value: what the client asked, decoded once, and how it is written again."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Hop:
    """One name of a search key, with what followed its colon: `subject:Patient` or `code:not`."""

    name: str
    modifier: str | None = None

    def __str__(self) -> str:
        return f"{self.name}:{self.modifier}" if self.modifier else self.name


@dataclass(frozen=True, slots=True)
class Key:
    """A plain key (one hop) or a chain (several): `code`, `subject:Patient.name`."""

    hops: tuple[Hop, ...]

    def __str__(self) -> str:
        return ".".join(map(str, self.hops))


@dataclass(frozen=True, slots=True)
class Has:
    """A reverse chain: `_has:Observation:patient:code` (R4 Search 3.1.1.5.13)."""

    resource_type: str
    reference: str
    key: "Key | Has"

    def __str__(self) -> str:
        return f"_has:{self.resource_type}:{self.reference}:{self.key}"


@dataclass(frozen=True, slots=True)
class Filter:
    """One criterion. `value` is percent-decoded, never blank, FHIR escapes (`\\,`) kept as written."""

    key: Key | Has
    value: str


@dataclass(frozen=True, slots=True)
class Include:
    """`_include` or, with `reverse`, `_revinclude`. `source` and `parameter` may be `*` (R4 Search 3.1.1.5.4)."""

    source: str
    parameter: str
    target: str | None = None
    iterate: bool = False
    reverse: bool = False

    def pair(self) -> tuple[str, str]:
        """The query parameter that says it."""
        name = ("_revinclude" if self.reverse else "_include") + (":iterate" if self.iterate else "")
        if self.source == "*":
            return name, "*"
        value = f"{self.source}:{self.parameter}"
        return name, f"{value}:{self.target}" if self.target else value


@dataclass(frozen=True, slots=True)
class Sort:
    """One rule of `_sort`; a key with several hops is a chain."""

    key: Key
    descending: bool = False

    def __str__(self) -> str:
        return f"-{self.key}" if self.descending else str(self.key)


class Summary(StrEnum):
    """The values of `_summary`."""

    TRUE = "true"
    TEXT = "text"
    DATA = "data"
    COUNT = "count"
    FALSE = "false"


class Total(StrEnum):
    """The values of `_total`."""

    NONE = "none"
    ESTIMATE = "estimate"
    ACCURATE = "accurate"


@dataclass(frozen=True, slots=True)
class Query:
    """Everything a search, a history or a read may ask in its query, apart from `_format` and `_pretty`.

    `types` is `_type` of a system-level search or history; `since` and `at` belong to history.
    """

    filters: tuple[Filter, ...] = ()
    includes: tuple[Include, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int | None = None
    summary: Summary | None = None
    elements: tuple[str, ...] = ()
    total: Total | None = None
    types: tuple[str, ...] = ()
    since: str | None = None
    at: str | None = None

    def pairs(self) -> Iterator[tuple[str, str]]:
        """The query parameters that say it, in a fixed order, not yet percent-encoded."""
        if self.types:
            yield "_type", ",".join(self.types)
        for criterion in self.filters:
            yield str(criterion.key), criterion.value
        for include in self.includes:
            yield include.pair()
        if self.sort:
            yield "_sort", ",".join(map(str, self.sort))
        if self.count is not None:
            yield "_count", str(self.count)
        if self.summary is not None:
            yield "_summary", self.summary.value
        if self.elements:
            yield "_elements", ",".join(self.elements)
        if self.total is not None:
            yield "_total", self.total.value
        if self.since is not None:
            yield "_since", self.since
        if self.at is not None:
            yield "_at", self.at

    def encode(self) -> str:
        """The query string, percent-encoded; empty where nothing was asked."""
        return encode_pairs(self.pairs())


def encode_pairs(pairs: "Iterator[tuple[str, str]] | tuple[tuple[str, str], ...]") -> str:
    """Percent-encode so that every server reads back the same pairs; `:` `,` `/` `.` stay readable."""
    return "&".join(f"{quote(name, safe=':._-')}={quote(value, safe=':,/._-')}" for name, value in pairs)
