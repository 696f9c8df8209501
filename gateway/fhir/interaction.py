"""What a FHIR request asks, as a closed union of values (FHIR R4 RESTful API 3.1.0).

Policy decides on these values, and what goes upstream is rebuilt from them: the raw path, query and headers of the
client end where this begins.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.fhir.query import Query

ALL_TYPES = "*"


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditional headers of a read, kept as the client wrote them; they are answered by us, after the check."""

    if_none_match: str | None = None
    if_modified_since: str | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """`GET` or `HEAD [type]/[id]`."""

    resource_type: str
    id: str
    query: Query = field(default_factory=Query)
    conditions: Conditions = field(default_factory=Conditions)


@dataclass(frozen=True, slots=True)
class VRead:
    """`GET` or `HEAD [type]/[id]/_history/[vid]`."""

    resource_type: str
    id: str
    version_id: str
    query: Query = field(default_factory=Query)


@dataclass(frozen=True, slots=True)
class InstanceHistory:
    """`GET [type]/[id]/_history`."""

    resource_type: str
    id: str
    query: Query = field(default_factory=Query)


@dataclass(frozen=True, slots=True)
class TypeHistory:
    """`GET [type]/_history`."""

    resource_type: str
    query: Query = field(default_factory=Query)


@dataclass(frozen=True, slots=True)
class SystemHistory:
    """`GET /_history`, with `_type` in the query's `types`."""

    query: Query = field(default_factory=Query)


@dataclass(frozen=True, slots=True)
class TypeSearch:
    """`GET [type]?...`, `POST [type]/_search`, or both merged."""

    resource_type: str
    query: Query = field(default_factory=Query)


@dataclass(frozen=True, slots=True)
class CompartmentSearch:
    """`GET [compartment]/[id]/[type or *]?...` and its `POST .../_search`; `resource_type` may be `*`."""

    compartment_type: str
    compartment_id: str
    resource_type: str
    query: Query = field(default_factory=Query)


@dataclass(frozen=True, slots=True)
class SystemSearch:
    """`GET /?...` or `POST /_search`, with `_type` in the query's `types`."""

    query: Query = field(default_factory=Query)


@dataclass(frozen=True, slots=True)
class Page:
    """`GET /?_page=...`: a paging link that this gateway sealed."""

    sealed: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`GET /metadata`."""


class WriteKind(StrEnum):
    """The interactions that change a resource."""

    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Write:
    """Any write to one resource. `condition` is set for the conditional forms (`If-None-Exist`, `PUT [type]?...`)."""

    kind: WriteKind
    resource_type: str
    id: str | None = None
    condition: Query | None = None


@dataclass(frozen=True, slots=True)
class BundlePost:
    """`POST /`: a batch or a transaction."""


class OperationLevel(StrEnum):
    """Where an operation is called."""

    SYSTEM = "system"
    TYPE = "type"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class Operation:
    """`.../$name` at any level; `name` has no dollar sign. `parameters` are those of its query, decoded, in order."""

    level: OperationLevel
    name: str
    resource_type: str | None = None
    id: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()


Interaction = (
    Read
    | VRead
    | InstanceHistory
    | TypeHistory
    | SystemHistory
    | TypeSearch
    | CompartmentSearch
    | SystemSearch
    | Page
    | Capabilities
    | Write
    | BundlePost
    | Operation
)
