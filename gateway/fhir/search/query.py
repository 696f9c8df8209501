"""A FHIR search query as a value, decoded once, and its encoding as a query string."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One parameter name of a search key with its modifier: `subject:Patient` or `code:not`."""

    name: str
    modifier: str | None = None

    def __str__(self) -> str:
        return f"{self.name}:{self.modifier}" if self.modifier else self.name


@dataclass(frozen=True, slots=True)
class SearchKey:
    """A parameter name (one link) or a chain (several): `code`, `subject:Patient.name`."""

    links: tuple[ChainLink, ...]

    def __str__(self) -> str:
        return ".".join(map(str, self.links))


@dataclass(frozen=True, slots=True)
class ReverseChain:
    """A reverse chain: `_has:Observation:patient:code` (R4 Search 3.1.1.5.13)."""

    resource_type: str
    reference_parameter: str
    key: "SearchKey | ReverseChain"

    def __str__(self) -> str:
        return f"_has:{self.resource_type}:{self.reference_parameter}:{self.key}"


@dataclass(frozen=True, slots=True)
class SearchCriterion:
    """One search criterion. `value` is percent-decoded and never blank; FHIR escapes (`\\,`) are kept."""

    key: SearchKey | ReverseChain
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
        """The name and value of the query parameter."""
        name = ("_revinclude" if self.reverse else "_include") + (":iterate" if self.iterate else "")
        if self.source == "*":
            return name, "*"
        value = f"{self.source}:{self.parameter}"
        return name, f"{value}:{self.target}" if self.target else value


@dataclass(frozen=True, slots=True)
class SortRule:
    """One rule of `_sort`."""

    key: SearchKey
    descending: bool = False

    def __str__(self) -> str:
        return f"-{self.key}" if self.descending else str(self.key)


class SummaryMode(StrEnum):
    """The values of `_summary`."""

    TRUE = "true"
    TEXT = "text"
    DATA = "data"
    COUNT = "count"
    FALSE = "false"


class TotalMode(StrEnum):
    """The values of `_total`."""

    NONE = "none"
    ESTIMATE = "estimate"
    ACCURATE = "accurate"


@dataclass(frozen=True, slots=True)
class Query:
    """The query of a search, a history or a read, without `_format` and `_pretty`.

    `types` is `_type` of a search or history over several types. `since` and `at` belong to a history.
    """

    criteria: tuple[SearchCriterion, ...] = ()
    includes: tuple[Include, ...] = ()
    sort: tuple[SortRule, ...] = ()
    count: int | None = None
    summary: SummaryMode | None = None
    elements: tuple[str, ...] = ()
    total: TotalMode | None = None
    types: tuple[str, ...] = ()
    since: str | None = None
    at: str | None = None

    def pairs(self) -> Iterator[tuple[str, str]]:
        """The names and values of the query parameters, in a fixed order, not percent-encoded."""
        if self.types:
            yield "_type", ",".join(self.types)
        for criterion in self.criteria:
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
        """The query string, percent-encoded; empty for a query without parameters."""
        return encode_pairs(self.pairs())


def encode_pairs(pairs: "Iterator[tuple[str, str]] | tuple[tuple[str, str], ...]") -> str:
    """Percent-encode names and values so that every server decodes the same pairs. `:` `,` `/` `.` stay readable."""
    return "&".join(f"{quote(name, safe=':._-')}={quote(value, safe=':,/._-')}" for name, value in pairs)
