"""The decision on a request: which request is sent upstream and how its response is filtered, or why it is refused."""

from dataclasses import dataclass, field

import msgspec

from gateway.fhir.matching.criterion import CompiledCriterion
from gateway.fhir.reference import Reference
from gateway.fhir.request.export_parameters import ExportParameters
from gateway.fhir.request.interaction import BundleKind, BundleRequest, Write
from gateway.policy.export_link import SealedFile, SealedJob
from gateway.policy.operation_filter import OperationFilter
from gateway.policy.permission.export_permission import export_permission
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.permission import Permission
from gateway.policy.permission.reach import UnresolvedReach
from gateway.policy.reasons import Reason

# The current version of each resource on a page of a history is looked up, so that the page has to be short.
MAX_HISTORY_PAGE = 50
# For each version of a Binary, the documents that vouch for it are looked up.
MAX_BINARY_VERSIONS = 10


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A GET request to the FHIR server. `path` begins with `/` or is empty; `query` is percent-encoded.

    With `is_search`, headers switch off the server's cache of searches and its lenient handling (hapi.md B2, B4).
    `may_be_form` says that a POST to `_search` asks for the same, and `is_page` that the address is the FHIR server's
    own, out of a paging link. With `body`, which is FHIR JSON, it is a POST that invokes an operation.
    """

    path: str
    query: str = ""
    is_search: bool = False
    may_be_form: bool = False
    is_page: bool = False
    body: bytes = b""

    @property
    def target(self) -> str:
        """Path and query as one text."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def page(self, target: str) -> "UpstreamRequest":
        """The request for a further page, whose path and query are `target`.

        A page that has the path of the search repeats its criteria, so that it can be a form where the search can.
        """
        path, _, query = target.partition("?")
        may_be_form = path == self.path and (self.is_search or self.may_be_form)
        return UpstreamRequest(path, query, may_be_form=may_be_form, is_page=True)


@dataclass(frozen=True, slots=True)
class PassThrough:
    """Pass the response on without judging it.

    Only for reads and searches of a grant that `reads_everything`.
    """


@dataclass(frozen=True, slots=True)
class ResourceFilter:
    """Keep the resource if it is the requested one, in the version that `reference` names, and `permission` permits it.

    A resource that states no version may be any.
    """

    permission: Permission
    reference: Reference
    grant: Grant


@dataclass(frozen=True, slots=True)
class BinaryFilter:
    """Keep the Binary if `permission` permits it, or if a resource in its reach vouches for it (enforcement.md 2).

    If `reference` names a version, the current version must be permitted in the same way.
    """

    permission: Permission
    reference: Reference
    grant: Grant


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Keep the entries of a searchset that are permitted.

    `match_permission` is for the searched type; it is None if several types are searched, which are `searched_types`
    (None: all). `named_ids` are the ids that the search named by `_id`; every other match is dropped. `is_exact` says
    that the narrowed query finds only what is permitted, so that the server's total may be passed on. Every match must
    also satisfy the `criteria` of the client that the server is not asked by, since it does not declare them, and be a
    member of the `compartment` in which the client searches. `page_size` is the client's `_count` where the server is
    asked for longer pages.
    """

    grant: Grant
    match_permission: Permission | None
    named_ids: frozenset[str] | None
    is_exact: bool
    searched_types: frozenset[str] | None = None
    criteria: tuple[CompiledCriterion, ...] = ()
    compartment: Reference | None = None
    page_size: int | None = None

    @property
    def has_conditions(self) -> bool:
        """Whether a match must satisfy more than its permission."""
        return bool(self.criteria) or self.compartment is not None

    @property
    def keeps_everything(self) -> bool:
        """Whether nothing that the server finds can be dropped."""
        return self.grant.reads_everything and not self.has_conditions

    @property
    def permits_all_results(self) -> bool:
        """Whether every result of an honest server is permitted, so that its total and links reveal nothing else."""
        return self.keeps_everything or self.is_exact


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Keep the entries of a history that are permitted: of one instance, of one type, or of all types."""

    grant: Grant
    instance: Reference | None
    resource_type: str | None

    @property
    def keeps_everything(self) -> bool:
        """Whether nothing that the server finds can be dropped."""
        return self.grant.reads_everything

    @property
    def permits_all_results(self) -> bool:
        """Whether every result of an honest server is permitted, so that its total and links reveal nothing else."""
        if self.grant.reads_everything:
            return True
        if self.resource_type is None:
            return False
        permission_for = self.grant.search_permission if self.instance is None else self.grant.read_permission
        return permission_for(self.resource_type).covers_whole_type


@dataclass(frozen=True, slots=True)
class ExportFilter:
    """Start a bulk export, whose files may hold what `grant` may export. `parameters` are those that are sent.

    With `passes_everything` nothing is judged.
    """

    grant: Grant
    parameters: ExportParameters
    passes_everything: bool

    def permits_type(self, resource_type: str) -> bool:
        """Whether a file may hold resources of the type: it was asked for, and something of it may be exported."""
        types = self.parameters.types
        is_associated = resource_type == "Provenance" and bool(self.parameters.associated_data)
        is_asked = not types or resource_type in types or is_associated
        return is_asked and (self.passes_everything or bool(export_permission(self.grant, resource_type)))


@dataclass(frozen=True, slots=True)
class ExportJobFilter:
    """Say how far the job of an export is and where its files are, or end the job if `is_cancelled`."""

    export: ExportFilter
    job: SealedJob
    is_cancelled: bool


@dataclass(frozen=True, slots=True)
class ExportFileFilter:
    """Keep the lines of a file of an export that may be exported."""

    export: ExportFilter
    file: SealedFile


@dataclass(frozen=True, slots=True)
class MetaFilter:
    """Answer with the `meta` of the resource, if `resource_filter` keeps it."""

    resource_filter: ResourceFilter


@dataclass(frozen=True, slots=True)
class CapabilityStatementFilter:
    """Replace the security section of the FHIR server's CapabilityStatement (`/metadata`)."""


ResponseFilter = (
    PassThrough
    | ResourceFilter
    | BinaryFilter
    | SearchFilter
    | HistoryFilter
    | OperationFilter
    | MetaFilter
    | CapabilityStatementFilter
    | ExportFilter
    | ExportJobFilter
    | ExportFileFilter
)


@dataclass(frozen=True, slots=True)
class Allow:
    """Send `upstream_request`, and pass on what `response_filter` keeps of the response.

    The current version of `prerequisite` must be readable before anything is sent: of a vread, an instance history, or
    the export of a Group.
    `omitted_parameters` are the parts of the query that are not sent since no scope reaches them: types and includes.
    `matches_to_skip` is how many permitted matches of the upstream page an earlier page has already shown.
    """

    upstream_request: UpstreamRequest
    response_filter: ResponseFilter
    prerequisite: Reference | None = None
    omitted_parameters: tuple[str, ...] = field(default=())
    matches_to_skip: int = 0


# A Struct, because one is created per write: creating a frozen dataclass takes three times as long.
class UpstreamWrite(msgspec.Struct, frozen=True, gc=False):
    """A request to the FHIR server that changes a resource. `path` and `query` as in `UpstreamRequest`.

    `body` is FHIR JSON. `if_match` is a version id; `if_none_exist` are criteria, percent-encoded.
    """

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    if_match: str | None = None
    if_none_match: bool = False
    if_none_exist: str = ""


@dataclass(frozen=True, slots=True)
class AllowWrite:
    """Carry out `write`, as far as `permission` permits the stored and the new state.

    `condition` finds the resource of a conditional write. `if_none_exist` are the same criteria for a create, if the
    narrowed ones find nothing but what the token may find. `narrowing` are pairs to which a delete can be tied, if they
    find exactly what the token may delete. What is sent follows from the stored state (`gateway/policy/writing`).
    `readable_owner` is whose Binary the token may read, once that is known.
    """

    write: Write
    permission: Permission
    grant: Grant
    condition: Allow | None = None
    if_none_exist: str = ""
    narrowing: tuple[tuple[str, str], ...] = ()
    readable_owner: Reference | None = None


@dataclass(frozen=True, slots=True)
class AllowBundle:
    """Carry out the `entries`, each by a decision of its own: of a batch those that are allowed, else all or none."""

    kind: BundleKind
    entries: tuple[BundleRequest, ...]


@dataclass(frozen=True, slots=True)
class Deny:
    """Refuse the request for `reason`.

    `offender` names the parameter or type that caused it. `required_scope` is a scope that would permit the request,
    if there is one. `allowed_methods` are those of the operation where the method is the problem (RFC 9110 10.2.1).
    """

    reason: Reason
    offender: str = ""
    required_scope: str = ""
    allowed_methods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NeedUserCompartments:
    """No decision yet: look up the compartments of the user in `unresolved_reach`, then decide again."""

    unresolved_reach: UnresolvedReach


Permitted = Allow | AllowWrite | AllowBundle
Decision = Permitted | Deny | NeedUserCompartments
