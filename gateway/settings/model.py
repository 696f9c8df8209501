"""The whole configuration as one frozen value. The description of each setting is also its documentation."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainSerializer

from gateway.policy.permission.rules import Rules
from gateway.settings.authorization.external_authorization_server import AuthorizationServer
from gateway.settings.authorization.issuers import Algorithm, Claims, Introspection, Issuer, TokenCache
from gateway.settings.authorization.smart_server import SmartServer
from gateway.settings.enforcement.app_state import AppState
from gateway.settings.enforcement.bulk_export import BulkExport
from gateway.settings.enforcement.compartments import Compartments, PanelSearch
from gateway.settings.enforcement.operations import OperationEntries, operation_conflicts, operation_rules
from gateway.settings.enforcement.record_rules import RecordRules
from gateway.settings.enforcement.shadow import Shadow
from gateway.settings.enforcement.user_access_brands import UserAccessBrands
from gateway.settings.enforcement.writes import Writes
from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.section_conflicts import CROSS_SECTION_RULES
from gateway.settings.serving.admin import Admin
from gateway.settings.serving.audit import Audit
from gateway.settings.serving.listen import Listen
from gateway.settings.serving.overload import Overload
from gateway.settings.serving.recording import Recording
from gateway.settings.serving.reload import Reload
from gateway.settings.serving.shutdown import Shutdown
from gateway.settings.serving.tracing import Tracing
from gateway.settings.serving.upstream import (
    Authentication,
    BasicAuthentication,
    BearerAuthentication,
    ClientCredentials,
    NoAuthentication,
    Pool,
    Tls,
    Upstream,
)
from gateway.settings.setting_types import (
    BaseUrl,
    Count,
    Flag,
    KeySecret,
    Origin,
    Port,
    Text,
    decode_key,
    to_plain_dict,
    to_read_only,
)

__all__ = [
    "Admin",
    "Algorithm",
    "Audit",
    "Authentication",
    "AuthorizationServer",
    "BasicAuthentication",
    "BearerAuthentication",
    "BulkExport",
    "Claims",
    "ClientCredentials",
    "Compartments",
    "Cors",
    "Introspection",
    "Issuer",
    "Limits",
    "Listen",
    "MetricsListen",
    "NoAuthentication",
    "Overload",
    "Paging",
    "PanelSearch",
    "Pool",
    "Recording",
    "Reload",
    "Settings",
    "Shutdown",
    "SmartServer",
    "Tls",
    "TokenCache",
    "Tracing",
    "Upstream",
    "Writes",
]


class MetricsListen(Section):
    """Where Prometheus reaches the gateway: a separate port, so that apps never see `/metrics`."""

    host: Annotated[Text, Field(description="The address to listen on.")] = "127.0.0.1"
    port: Annotated[
        Port | None, Field(description="The port of `/metrics`; 0 for any that is free, null for no metrics.")
    ] = 9090


class Limits(Section):
    """How large a request may be."""

    max_request_body_bytes: Annotated[
        Count, Field(description="The largest request body; a larger one is refused with 413.")
    ] = 1024 * 1024
    max_binary_bytes: Annotated[
        Count,
        Field(
            description="The largest content of a Binary that is uploaded as it is. It is passed on in pieces. A "
            "Binary in FHIR JSON is a body like any other."
        ),
    ] = 64 * 1024 * 1024
    bundle_entries: Annotated[Count, Field(description="The entries that a batch or transaction may have.")] = 200
    bundle_seconds: Annotated[
        Count,
        Field(
            description="How long a batch may take. Entries that have no answer by then are answered with a timeout; a "
            "write among them may have happened."
        ),
    ] = 60


class Cors(Section):
    """Browser apps on other origins."""

    allowed_origins: Annotated[
        tuple[Origin, ...],
        Field(description="Origins whose pages may use the FHIR endpoints; discovery is open to all anyway."),
    ] = ()


class Paging(Section):
    """Paging links are sealed: only the grant that they were made for can open them."""

    key: Annotated[
        KeySecret | None,
        Field(
            description="Base64 of at least 32 random bytes, the same in every process. Without it, each process "
            "generates a key at start, and its paging links end with the process."
        ),
    ] = None
    lifetime_seconds: Annotated[Count, Field(description="How long a paging link can be followed.")] = 3600

    def key_bytes(self) -> bytes | None:
        """The key; None if each process generates its own."""
        return None if self.key is None else decode_key(self.key)


class Settings(Section):
    """Everything an operator decides."""

    public_base_url: Annotated[
        BaseUrl,
        Field(
            description="The FHIR base URL as apps see it, without a slash at the end. The `Host` header is never used."
        ),
    ]
    development: Annotated[
        Flag, Field(description="Allow http on this machine and `*` as an origin. Never in production.")
    ] = False
    listen: Annotated[Listen, Field(description="Where apps reach the gateway.")] = Listen()
    metrics: Annotated[MetricsListen, Field(description="Where Prometheus reaches the gateway.")] = MetricsListen()
    admin: Annotated[Admin, Field(description="The admin port, for those who run the gateway.")] = Admin()
    shutdown: Annotated[Shutdown, Field(description="How the gateway stops.")] = Shutdown()
    reload: Annotated[Reload, Field(description="When a changed configuration comes into force without a restart.")] = (
        Reload()
    )
    upstream: Annotated[Upstream, Field(description="The FHIR server behind the gateway.")]
    smart_server: Annotated[
        SmartServer | None,
        Field(
            description="The gateway's own authorization server; without it, only tokens of the issuers are accepted."
        ),
    ] = None
    issuers: Annotated[
        tuple[Issuer, ...], Field(description="The other issuers whose access tokens are accepted.")
    ] = ()
    token_cache: Annotated[TokenCache, Field(description="How long a verified token is cached.")] = TokenCache()
    compartments: Annotated[
        Compartments,
        Field(default_factory=Compartments, description="What belongs to a patient, and what a practitioner may see."),
    ]
    record_rules: Annotated[
        RecordRules, Field(description="Rules about records beside the scopes: they take away from what scopes permit.")
    ] = RecordRules()
    shadow: Annotated[
        tuple[Shadow, ...],
        Field(
            description="Shadow mode: the clients whose requests are decided but, for a while, not held to it, so that "
            "it is seen what enforcement would break. See docs/shadow-mode.md."
        ),
    ] = ()
    operations: Annotated[
        Annotated[OperationEntries, AfterValidator(to_read_only), PlainSerializer(to_plain_dict)],
        Field(
            default_factory=dict,
            description="Operations beside the shipped manifest, by their address, such as `Patient/[id]/$everything`: "
            "what an entry leaves out stays as shipped, and `enabled: false` switches one off. See "
            "docs/operations.md.",
        ),
    ]
    authorization_server: Annotated[
        AuthorizationServer | None,
        Field(
            description="The content of `.well-known/smart-configuration` for another authorization server; "
            "without it there is none."
        ),
    ] = None
    user_access_brands: Annotated[
        UserAccessBrands | None,
        Field(description="The brands by which apps show this server to users; without them, discovery names none."),
    ] = None
    app_state: Annotated[
        AppState | None,
        Field(description="What apps may keep here for themselves (SMART app state); without it, nothing."),
    ] = None
    limits: Annotated[Limits, Field(description="How large a request may be.")] = Limits()
    overload: Annotated[Overload, Field(description="What one client may have at once, and how slow it may be.")] = (
        Overload()
    )
    writes: Annotated[Writes, Field(description="What apps may change.")] = Writes()
    cors: Annotated[Cors, Field(description="Browser apps on other origins.")] = Cors()
    paging: Annotated[Paging, Field(description="Paging links.")] = Paging()
    bulk_export: Annotated[BulkExport, Field(description="Bulk exports.")] = BulkExport()
    audit: Annotated[Audit, Field(description="One line of JSON for every decision.")] = Audit()
    tracing: Annotated[
        Tracing | None,
        Field(
            description="Spans for OpenTelemetry, in the background and without anything of patients; without it, "
            "there are none. Needs `pip install 'smart-fhir-gateway[otel]'`, which the image has."
        ),
    ] = None
    recording: Annotated[
        Recording, Field(description="Requests without ids and values, on which `policy diff` tries a configuration.")
    ] = Recording()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="The lowest level that is logged.")
    ] = "info"

    @conflict_rule
    def _useless_operations(self) -> Iterator[Conflict]:
        yield from operation_conflicts(self.operations)

    def smart_server_issuer(self) -> str:
        """The base URL of the SMART server: the configured one, or `/auth` on the host of the FHIR base."""
        smart_server = self.smart_server
        if smart_server is not None and smart_server.issuer is not None:
            return smart_server.issuer
        parts = urlsplit(self.public_base_url)
        return f"{parts.scheme}://{parts.netloc}/auth"

    def app_state_base(self) -> str | None:
        """The base URL of app state: the configured one, or `/app-state` on the host of the FHIR base; None if off."""
        if self.app_state is None or self.app_state.base_url is not None:
            return None if self.app_state is None else self.app_state.base_url
        parts = urlsplit(self.public_base_url)
        return f"{parts.scheme}://{parts.netloc}/app-state"

    def rules(self) -> Rules:
        """The settings that decisions need. What the FHIR server does not support is added at start."""
        compartments = self.compartments
        return Rules(
            public_base=self.public_base_url,
            upstream_base=self.upstream.base_url,
            upstream_aliases=self.upstream.aliases,
            membership=compartments.membership,
            extra_membership=compartments.extra_membership,
            shared_types=compartments.shared_types,
            searchable_shared_types=compartments.searchable_shared_types,
            practitioner_reach=compartments.practitioner_reach,
            search_without_narrowing=compartments.search_without_narrowing,
            compartment_search=self.upstream.compartment_search,
            max_owners_per_search=compartments.max_patients_per_search,
            exports=self.bulk_export.rules(),
            operations=operation_rules(self.operations),
            record_rules=self.record_rules.rules(),
            reach_records=compartments.reach_records(
                (self.public_base_url, self.upstream.base_url, *self.upstream.aliases)
            ),
            writes=self.writes.rules(also_never=compartments.deciding_types),
        )

    def conflict_rules(self) -> Iterator[Callable[[], Iterator[Conflict]]]:
        """The rules about several sections."""
        yield from super().conflict_rules()
        for rule in CROSS_SECTION_RULES:
            yield partial(rule, self)
