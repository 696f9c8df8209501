"""Builds the FHIR proxy from the settings. Nothing is requested yet."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

from gateway.asgi.cors import CorsPolicy
from gateway.credentials.build import build_trusted_issuer
from gateway.credentials.issuer_keys import FetchDocument
from gateway.fhir.app_state.state_codes import StateCodes
from gateway.fhir.resources.links import UrlRewriter
from gateway.fhir.resources.public_capability_statement import PublicOperations
from gateway.fhir.resources.undeclared_parameters import find_conditional_deletes
from gateway.policy.paging_link import Sealer
from gateway.policy.permission.operation_rule import list_enabled_operations
from gateway.proxy.app_state.build import build_app_state, discovery_members
from gateway.proxy.bearer_token.bearer_resolver import BearerResolver, IssuerTrust, LocalTokenIssuer
from gateway.proxy.bearer_token.token_cache import BearerTokenCache
from gateway.proxy.bulk_export.build import ExportParts, build_exports
from gateway.proxy.bundles.bundle_limits import BundleLimits
from gateway.proxy.decision_executor import DecisionExecutor
from gateway.proxy.fhir_endpoint import FhirProxy
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.grant_cache import GrantCache
from gateway.proxy.lasting_parts import LastingProxyParts
from gateway.proxy.metadata.brand_bundle_document import BrandBundleDocument
from gateway.proxy.metadata.capability_statement_endpoint import CapabilityStatementEndpoint
from gateway.proxy.metadata.fhir_version_check import FhirVersionCheck
from gateway.proxy.metadata.smart_configuration import SmartConfiguration, build_oauth_uris
from gateway.proxy.operation_responses import OperationResponses
from gateway.proxy.page_links import PageLinks
from gateway.proxy.reading.resource_checks import ResourceChecks
from gateway.proxy.request_answers import ProxyDependencies
from gateway.proxy.search_and_history.bundle_response import BundleResponses
from gateway.proxy.search_and_history.sealed_links import SealedLinks
from gateway.proxy.shadow.build import build_shadow_links, build_shadowed_answers, build_shadowed_callers
from gateway.proxy.shadow.shadowed_callers import ShadowedCallers
from gateway.proxy.undeclared_parameters import record_undeclared_parameters
from gateway.proxy.user_reach.own_searches import OwnSearches
from gateway.proxy.user_reach.related_persons import RelatedPersonRules
from gateway.proxy.user_reach.user_compartments import UserCompartments
from gateway.proxy.writing.build import Writes, build_writes
from gateway.scopes.model import ANY_TYPE
from gateway.settings.authorization.issuers import Issuer
from gateway.settings.model import Settings
from gateway.settings.serving.upstream import Upstream
from gateway.storage.backends.store import Store
from gateway.storage.stored_pages import StoredPages
from gateway.telemetry.telemetry import Telemetry
from gateway.telemetry.tracing.tracer import Tracer
from gateway.upstream.documents.control_client import ControlClient
from gateway.upstream.documents.document_types import FetchPurpose
from gateway.upstream.exchange_types import Exchange


class LocalSmartServer(Protocol):
    """What the proxy needs of the gateway's own SMART server, where there is one."""

    @property
    def issued_tokens(self) -> LocalTokenIssuer:
        """The access tokens issued here."""

    @property
    def store(self) -> Store:
        """The store that all workers share."""

    def registered_origins(self, client_id: str | None) -> frozenset[str]:
        """The web origins of a client, or of all clients, as they are now."""

    def configuration(self) -> dict[str, object]:
        """The members of `.well-known/smart-configuration`."""

    async def find_state_codes(self, client_id: str) -> tuple[StateCodes, ...]:
        """The codes of app state that a client may use. Raises `StoreUnavailableError`."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """The ASGI application of the FHIR base, and its parts that others use as well."""

    application: FhirProxy
    dependencies: ProxyDependencies
    capability_statement: CapabilityStatementEndpoint
    smart_configuration: SmartConfiguration
    brand_bundle: BrandBundleDocument | None
    app_state: FhirProxy | None
    page_links: PageLinks
    exports: ExportParts
    shadowed_callers: ShadowedCallers


def build_fhir_server(settings: Upstream, exchange: Exchange, base_path: bytes) -> FhirServer:
    """The FHIR server as the proxy sees it. `base_path` is the path of its base URL."""
    return FhirServer(exchange, base_path, body_limit=settings.max_verified_body_bytes)


def build_proxy(
    settings: Settings,
    server: FhirServer,
    control_client: ControlClient,
    telemetry: Telemetry,
    smart_server: LocalSmartServer | None,
    lasting: LastingProxyParts,
    tracer: Tracer | None = None,
) -> Proxy:
    """The proxy in front of `server`. `control_client` fetches keys and introspects tokens. `tracer` records spans."""
    configuration = _smart_configuration(settings, smart_server)
    page_links = build_page_links(settings)
    key = settings.paging.key_bytes() or lasting.paging_key
    exports = build_exports(settings, server, key)
    grants = _build_grant_cache(settings, server, page_links)
    capability_statement = CapabilityStatementEndpoint(
        server,
        public_base=settings.public_base_url,
        oauth_uris=build_oauth_uris(configuration),
        operations=_public_operations(settings),
        writable_types=settings.rules().writes.writable_types,
        check_version=FhirVersionCheck(grants.set_server_supported),
        on_statement=partial(
            _record_statement, page_links=page_links, exports=exports, grants=grants, settings=settings
        ),
    )
    pages = StoredPages(lasting.pages if smart_server is None else smart_server.store)
    sealed_links = SealedLinks(
        Sealer(key),
        pages,
        public_base=settings.public_base_url,
        lifetime=settings.paging.lifetime_seconds,
    )
    writes = build_writes(server, page_links, _build_rewriter(settings), lasting.turns)

    def build_executor(links: SealedLinks) -> DecisionExecutor:
        return _build_executor(settings, server, links, page_links, capability_statement, exports, writes)

    dependencies = ProxyDependencies(
        resolver=build_bearer_resolver(settings, control_client, smart_server, lasting),
        grants=grants,
        executor=build_executor(sealed_links),
        transaction_writes=writes.transactions,
        sealed_links=sealed_links,
        export_links=exports.links,
        cors=CorsPolicy(
            settings.cors.allowed_origins,
            _no_origins if smart_server is None else smart_server.registered_origins,
        ),
        telemetry=telemetry,
        in_progress=lasting.in_progress,
        realm=settings.public_base_url,
        body_limit=settings.limits.max_request_body_bytes,
        binary_limit=settings.limits.max_binary_bytes,
        bundle_limits=BundleLimits(
            settings.limits.bundle_entries, settings.limits.bundle_seconds, settings.upstream.max_verified_body_bytes
        ),
        extra_parameters=settings.upstream.extra_search_parameters,
        tracer=tracer,
    )
    callers, shadow_links = build_shadowed_callers(settings), build_shadow_links(settings, key, pages)
    answers = (
        build_shadowed_answers(callers, shadow_links, build_executor, server, page_links, writes.parts, dependencies)
        if callers
        else None
    )
    application = FhirProxy(urlsplit(settings.public_base_url).path, dependencies, answers)
    smart_configuration = SmartConfiguration(configuration)
    brands = settings.user_access_brands
    brand_bundle = BrandBundleDocument(brands.bundle.read_bytes()) if brands is not None else None
    app_state = (
        None
        if smart_server is None
        else build_app_state(settings, dependencies, smart_server.store, smart_server.find_state_codes)
    )
    return Proxy(
        application,
        dependencies,
        capability_statement,
        smart_configuration,
        brand_bundle,
        app_state,
        page_links,
        exports,
        callers,
    )


def _public_operations(settings: Settings) -> PublicOperations:
    """The operations that the public CapabilityStatement may list."""
    names = dict(list_enabled_operations(settings.rules().operations))
    if settings.bulk_export.allow:
        names |= {level: names.get(level, frozenset()) | {"export"} for level in (ANY_TYPE, "Patient", "Group")}
    return PublicOperations(names, (settings.upstream.base_url, *settings.upstream.aliases))


def _record_statement(
    statement: Any, page_links: PageLinks, exports: ExportParts, grants: GrantCache, settings: Settings
) -> None:
    """Pass on what the FHIR server's CapabilityStatement says of its address and of its search parameters."""
    page_links.record_statement(statement)
    exports.server.record_statement(statement)
    record_undeclared_parameters(statement, grants, settings.rules())
    grants.set_conditional_deletes(find_conditional_deletes(statement))


def _smart_configuration(settings: Settings, smart_server: LocalSmartServer | None) -> dict[str, object]:
    brands = settings.user_access_brands
    members = brands.discovery_members(settings.public_base_url) if brands is not None else {}
    if smart_server is not None:
        return smart_server.configuration() | discovery_members(settings) | members
    server = settings.authorization_server
    return server.smart_configuration() | members if server is not None else {}


def _no_origins(_: str | None) -> frozenset[str]:
    return frozenset()


def build_bearer_resolver(
    settings: Settings,
    control_client: ControlClient,
    smart_server: LocalSmartServer | None,
    lasting: LastingProxyParts,
) -> BearerResolver:
    """What resolves bearer tokens, of the issuers and of `smart_server`. `explain` checks tokens with it as well."""
    cache = BearerTokenCache(
        entries=settings.token_cache.entries,
        max_age=settings.token_cache.max_age_seconds,
        refusals=settings.token_cache.refusals,
    )
    fetch_keys = partial(control_client.get_document, purpose=FetchPurpose.ISSUER_KEYS)
    introspect = partial(control_client.post_form, purpose=FetchPurpose.INTROSPECTION)
    trusts = [_build_trust(issuer, fetch_keys, lasting) for issuer in settings.issuers]
    issued_tokens = None if smart_server is None else smart_server.issued_tokens
    return BearerResolver(trusts, cache, settings.rules().bases, introspect, issued_tokens)


def _build_trust(issuer: Issuer, fetch: FetchDocument, lasting: LastingProxyParts) -> IssuerTrust:
    trusted_issuer = build_trusted_issuer(issuer)
    return IssuerTrust(trusted_issuer, issuer.claim_mapping(), lasting.issuer_keys(trusted_issuer, fetch))


def _build_grant_cache(settings: Settings, server: FhirServer, page_links: PageLinks) -> GrantCache:
    users = build_user_compartments(settings, server, page_links)
    return GrantCache(settings.rules(), users, entries=settings.token_cache.entries)


def build_user_compartments(settings: Settings, server: FhirServer, page_links: PageLinks) -> UserCompartments:
    """What looks up the compartments of users."""
    compartments = settings.compartments
    rules = settings.rules()
    related_persons = RelatedPersonRules(
        compartments.further_related_persons, compartments.related_person_identifier_systems
    )
    return UserCompartments(
        OwnSearches(server, rules, page_links),
        rules,
        compartments.panel,
        related_persons,
        lifetime=compartments.cache_seconds,
        max_patients=compartments.max_patients,
    )


def _build_rewriter(settings: Settings) -> UrlRewriter:
    return UrlRewriter(settings.upstream.base_url, settings.public_base_url, settings.upstream.aliases)


def _build_executor(
    settings: Settings,
    server: FhirServer,
    sealed_links: SealedLinks,
    page_links: PageLinks,
    capability_statement: CapabilityStatementEndpoint,
    exports: ExportParts,
    writes: Writes,
) -> DecisionExecutor:
    rewriter = _build_rewriter(settings)
    checks = ResourceChecks(server)
    paged_responses = BundleResponses(server, checks, sealed_links, rewriter, page_links)
    operations = OperationResponses(server, checks, writes.parts.states, paged_responses, rewriter)
    return DecisionExecutor(
        server,
        checks,
        paged_responses,
        operations,
        rewriter,
        capability_statement,
        writes=writes.executor,
        exports=exports.responses,
    )


def build_page_links(settings: Settings) -> PageLinks:
    """What reads the FHIR server's paging links."""
    return PageLinks(settings.upstream.base_url, (settings.public_base_url, *settings.upstream.aliases))
