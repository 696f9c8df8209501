"""The interactions of the FHIR RESTful API as a closed union of values (FHIR R4 http.html 3.1.0).

Policy decides on these values, and the request to the FHIR server is built from them. The raw path, query and headers
of the client are not used any further.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.fhir.request.export_parameters import ExportParameters
from gateway.fhir.search.query import Query

ALL_TYPES = "*"


@dataclass(frozen=True, slots=True)
class ConditionalHeaders:
    """The conditional headers of a read, as the client sent them. The gateway evaluates them after its checks."""

    if_none_match: str | None = None
    if_modified_since: str | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """read: `GET` or `HEAD [type]/[id]`."""

    resource_type: str
    id: str
    query: Query = field(default_factory=Query)
    conditional_headers: ConditionalHeaders = field(default_factory=ConditionalHeaders)


@dataclass(frozen=True, slots=True)
class VRead:
    """vread: `GET` or `HEAD [type]/[id]/_history/[vid]`."""

    resource_type: str
    id: str
    version_id: str
    query: Query = field(default_factory=Query)


@dataclass(frozen=True, slots=True)
class InstanceHistory:
    """history-instance: `GET [type]/[id]/_history`."""

    resource_type: str
    id: str
    query: Query = field(default_factory=Query)


@dataclass(frozen=True, slots=True)
class TypeHistory:
    """history-type: `GET [type]/_history`."""

    resource_type: str
    query: Query = field(default_factory=Query)


@dataclass(frozen=True, slots=True)
class SystemHistory:
    """history-system: `GET /_history`; `_type` is in `query.types`."""

    query: Query = field(default_factory=Query)


@dataclass(frozen=True, slots=True)
class TypeSearch:
    """search-type: `GET [type]?...` or `POST [type]/_search`, whose query and form are merged."""

    resource_type: str
    query: Query = field(default_factory=Query)


@dataclass(frozen=True, slots=True)
class CompartmentSearch:
    """search-compartment: `GET [type]/[id]/[type or *]?...` or `POST .../_search`. `resource_type` may be `*`."""

    compartment_type: str
    compartment_id: str
    resource_type: str
    query: Query = field(default_factory=Query)


@dataclass(frozen=True, slots=True)
class SystemSearch:
    """search-system: `GET /?...` or `POST /_search`; `_type` is in `query.types`."""

    query: Query = field(default_factory=Query)


@dataclass(frozen=True, slots=True)
class PagingLink:
    """`GET /?_page=...`: a paging link of this gateway. `sealed_page` is the sealed state of the search or history."""

    sealed_page: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """capabilities: `GET /metadata`."""


class WriteKind(StrEnum):
    """The interactions that change a resource."""

    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What the client requires of the stored state (R4 http.html 3.1.0.5).

    `if_match` is the id of the version that must be the current one, or `*` for any. With `if_none_match` there must be
    no such resource.
    """

    if_match: str | None = None
    if_none_match: bool = False


class ReturnPreference(StrEnum):
    """What the client wants as the body of the response to a write: `Prefer: return=` (R4 http.html 3.1.0.1.7)."""

    MINIMAL = "minimal"
    REPRESENTATION = "representation"
    OUTCOME = "OperationOutcome"


_NO_PRECONDITIONS = Preconditions()


@dataclass(frozen=True, slots=True)
class Write:
    """create, update, patch or delete of one resource, without its content (`gateway.fhir.request.content`).

    `criteria` is set for the conditional forms: `If-None-Exist`, and `PUT`, `PATCH` or `DELETE [type]?...`.
    """

    kind: WriteKind
    resource_type: str
    id: str | None = None
    criteria: Query | None = None
    preconditions: Preconditions = _NO_PRECONDITIONS
    preference: ReturnPreference = ReturnPreference.REPRESENTATION


@dataclass(frozen=True, slots=True)
class AppStateRequest:
    """A search for app state, or a change of it, at the endpoint of app state instead of the FHIR base."""

    request: TypeSearch | Write

    @property
    def resource_type(self) -> str:
        """The type of the resources that hold it."""
        return self.request.resource_type


class BundleKind(StrEnum):
    """Whether each request of a Bundle stands for itself, or all of them are carried out or none."""

    BATCH = "batch"
    TRANSACTION = "transaction"


@dataclass(frozen=True, slots=True)
class BundleRequest:
    """One request of a batch or transaction as its entry says it, not parsed any further (`bundle_entry.py`).

    `headers` are those that the members of `request` stand for (`ifMatch` ...). `resource` is plain JSON with its
    decimals as `Decimal`; nobody changes it. `full_url` is the client's name for the resource, or empty.
    """

    method: str
    url: str
    headers: Mapping[bytes, bytes]
    resource: Mapping[str, Any] | None = None
    full_url: str = ""


@dataclass(frozen=True, slots=True)
class BatchOrTransaction:
    """batch or transaction: `POST /` with a Bundle of requests."""

    kind: BundleKind
    entries: tuple[BundleRequest, ...]


class OperationLevel(StrEnum):
    """The level at which an operation is invoked."""

    SYSTEM = "system"
    TYPE = "type"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class OperationArgument:
    """One value in the body of an operation: `kind` is its member, such as `valueDate` or `resource`.

    `text` are the bytes of a resource. `name` is empty for a resource without Parameters around it.
    """

    name: str
    kind: str
    value: Any
    text: bytes = b""


@dataclass(frozen=True, slots=True)
class Operation:
    """`.../$name` at any level. `name` has no dollar sign; `parameters` are those of the query, decoded, in order.

    `method` is GET or POST, and `arguments` are the values in the body.
    """

    level: OperationLevel
    name: str
    resource_type: str | None = None
    id: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    arguments: tuple[OperationArgument, ...] = ()


class ExportLevel(StrEnum):
    """Whose records an export holds: all records, those of all patients, or those of the members of a Group."""

    SYSTEM = "system"
    PATIENT = "patient"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class ExportKickoff:
    """The kick-off of a bulk export: `GET` or `POST /$export`, `/Patient/$export` or `/Group/[id]/$export`.

    `group_id` is set for the level of a Group. `is_asynchronous` says that `Prefer` asks for a job, as it must.
    """

    level: ExportLevel
    parameters: ExportParameters
    group_id: str | None = None
    is_asynchronous: bool = True


@dataclass(frozen=True, slots=True)
class ExportStatus:
    """`GET /$export-status?_job=...`: how far a bulk export is, and its manifest. `sealed_job` is the sealed job."""

    sealed_job: str


@dataclass(frozen=True, slots=True)
class ExportCancel:
    """`DELETE /$export-status?_job=...`: the end of a bulk export, and of its files."""

    sealed_job: str


@dataclass(frozen=True, slots=True)
class ExportFile:
    """`GET /$export-file?_file=...`: one file of a bulk export. `sealed_file` is the sealed file."""

    sealed_file: str


Interaction = (
    Read
    | VRead
    | InstanceHistory
    | TypeHistory
    | SystemHistory
    | TypeSearch
    | CompartmentSearch
    | SystemSearch
    | PagingLink
    | Capabilities
    | Write
    | BatchOrTransaction
    | Operation
    | ExportKickoff
    | ExportStatus
    | ExportCancel
    | ExportFile
)
# What audit lines and metrics name. No decision about the FHIR server is made on app state.
RecordedInteraction = Interaction | AppStateRequest
