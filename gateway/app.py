"""The one place where the gateway is put together from its settings."""

import asyncio
import contextlib
import logging
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, assert_never
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from gateway.fhir.capability_statement import undeclared_parameters
from gateway.fhir.compartments import narrowing_parameter
from gateway.fhir.links import AddressRewriter
from gateway.fhir.search_parameters import aliases
from gateway.keys.issuers import Introspection, TrustedIssuer
from gateway.keys.jwks import Fetch, JwksSource
from gateway.policy.claims import ClaimMapping
from gateway.policy.sealed_page import Sealer
from gateway.settings import issuers as settings_of_issuers
from gateway.settings import upstream as settings_of
from gateway.settings.issuers import Issuer
from gateway.settings.model import Settings
from gateway.upstream.authentication import (
    AuthenticatedExchange,
    ClientCredentials,
    ClientCredentialsAuthentication,
    UpstreamAuthentication,
    basic,
    bearer,
    no_authentication,
    tls_context,
)
from gateway.upstream.control import ControlClient
from gateway.upstream.exchange import Exchange, Headers
from gateway.upstream.pool import ConnectionPool
from gateway.web.answer import Receive, Refused, Scope, Send
from gateway.web.bearer import BearerResolver, Trust
from gateway.web.cors import Cors
from gateway.web.discovery import SmartConfiguration, oauth_uris
from gateway.web.fetch import CONSTANT_HEADERS, FhirServer
from gateway.web.fhir import FhirProxy, Parts
from gateway.web.grants import Grants
from gateway.web.health import Health
from gateway.web.keep import Keeper
from gateway.web.metadata import Metadata
from gateway.web.pages import Pages
from gateway.web.reach import PanelSearch, UserCompartments
from gateway.web.reading import Reader
from gateway.web.token_cache import TokenCache
from gateway.web.trace import Trace
from gateway.web.witness import Witness

if TYPE_CHECKING:
    from gateway.smart import Smart

_log = logging.getLogger(__name__)
# In seconds, between two tries to read the upstream's statement while it is not known.
_LOOK_AGAIN = 10.0
# Medplum's door lies below the FHIR base, where else nothing but FHIR is answered.
_MEDPLUM, _SMART_LAUNCH = b"/ClientApplication/", b"$smart-launch"


def claim_mapping(issuer: Issuer) -> ClaimMapping:
    """How the policy room reads this issuer's claims."""
    return ClaimMapping(
        scope=issuer.claims.scope,
        patient=issuer.claims.patient,
        fhir_user=issuer.claims.fhir_user,
        client_id=issuer.claims.client_id,
        patient_from_fhir_user=issuer.patient_from_fhir_user,
        decode_scope_slash=issuer.decode_scope_slash,
    )


def trusted_issuer(issuer: Issuer) -> TrustedIssuer:
    """What the keys room knows of this issuer."""
    return TrustedIssuer(
        issuer=issuer.issuer,
        audiences=frozenset(issuer.audiences),
        algorithms=tuple(issuer.algorithms),
        clock_skew=issuer.clock_skew_seconds,
        accepted_types=frozenset(name.lower() for name in issuer.accepted_types),
        jwks_url=issuer.jwks_url,
        jwks_file=str(issuer.jwks_file) if issuer.jwks_file is not None else None,
        introspection=_introspection(issuer.introspection),
    )


def _introspection(asked: settings_of_issuers.Introspection | None) -> Introspection | None:
    if asked is None:
        return None
    return Introspection(asked.endpoint, asked.client_id, asked.client_secret.get_secret_value())


def _trust(issuer: Issuer, fetch: Fetch) -> Trust:
    trusted = trusted_issuer(issuer)
    keys = None
    if trusted.introspection is None:
        keys = JwksSource(url=trusted.jwks_url, file=trusted.jwks_file, fetch=fetch)
    return Trust(trusted, claim_mapping(issuer), keys)


def _ssl_context(settings: settings_of.Upstream) -> ssl.SSLContext | None:
    if not settings.base_url.startswith("https://"):
        return None
    tls = settings.tls
    files = (
        str(one) if one is not None else None for one in (tls.ca_file, tls.client_certificate_file, tls.client_key_file)
    )
    ca_file, certificate_file, key_file = files
    return tls_context(ca_file=ca_file, certificate_file=certificate_file, key_file=key_file)


def _authentication(settings: settings_of.Authentication, client: ControlClient) -> UpstreamAuthentication:
    match settings:
        case settings_of.NoAuthentication():
            return no_authentication()
        case settings_of.BasicAuthentication(username=username, password=password):
            return basic(username, password.get_secret_value())
        case settings_of.BearerAuthentication(token=token):
            return bearer(token.get_secret_value())
        case settings_of.ClientCredentials():
            credentials = ClientCredentials(
                settings.token_endpoint,
                settings.client_id,
                settings.client_secret.get_secret_value(),
                settings.scope,
                settings.audience,
            )
            return ClientCredentialsAuthentication(credentials, client, time.monotonic)
    assert_never(settings)


class Gateway:
    """The whole gateway as one ASGI application: the FHIR base first, since that is where the traffic is."""

    def __init__(self, settings: Settings, witness: Witness) -> None:
        """`witness` is told of every request; it is not closed here."""
        self._settings = settings
        self._witness = witness
        self._smart = _smart(settings)
        self._control = ControlClient()
        proof = _authentication(settings.upstream.authentication, self._control)
        static = proof.static_headers
        self.pool = _pool(settings, static or ())
        self._exchange: Exchange = self.pool if static is not None else AuthenticatedExchange(self.pool, proof)
        self._base_path = urlsplit(settings.public_base_url).path.encode()
        server = self._server()
        self._metadata = Metadata(
            server,
            public_base=settings.public_base_url,
            oauth_uris=oauth_uris(self._smart_configuration()),
            learn=self._learn,
        )
        parts = self._parts(server)
        self._resolver_of_tokens = parts.resolver
        self._grants = parts.grants
        self._proxy = FhirProxy(self._base_path.decode(), parts)
        self._discovery = SmartConfiguration(self._smart_configuration())
        self._discovery_path = self._base_path + b"/.well-known/smart-configuration"
        if self._smart is not None:
            self._smart.open(parts, self._control, witness.note)
        self._rest = self._rest_of_addresses()
        self._beside = self._below_the_base()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Dispatch by the path as it came: nothing is decoded before the FHIR parser sees it."""
        return self._door(scope)(scope, receive, send)

    def _door(self, scope: Scope) -> Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]:
        if scope["type"] != "http":
            return self._rest
        path = scope["raw_path"]
        if not path.startswith(self._base_path) or (self._beside and path.startswith(self._beside)):
            return self._rest
        rest = path[len(self._base_path) :]
        if path == self._discovery_path and self._has_discovery:
            return self._discovery
        if self._smart is not None and rest.startswith(_MEDPLUM) and rest.endswith(_SMART_LAUNCH):
            return self._rest
        return self._proxy if not rest or rest.startswith(b"/") else self._rest

    def _below_the_base(self) -> tuple[bytes, ...]:
        """How paths begin that lie below the FHIR base and are no FHIR: none, unless the base is the host itself."""
        own = [] if self._base_path else [b"/healthz", b"/readyz", b"/rpc"]
        issuer = urlsplit(self._settings.own_issuer()).path.encode() + b"/"
        if self._smart is not None and issuer.startswith(self._base_path + b"/"):
            own.append(issuer)
        return tuple(own)

    @property
    def _has_discovery(self) -> bool:
        return self._settings.smart_server is not None or self._settings.authorization_server is not None

    def _registered_origins(self, client_id: str | None) -> frozenset[str]:
        """The origins of that client, or of all, as they are now."""
        return frozenset() if self._smart is None else self._smart.origins(client_id)

    def _rest_of_addresses(self) -> Starlette:
        health = Health(self._metadata, self._smart.store if self._smart is not None else None)
        routes: list[BaseRoute] = [Route("/healthz", health.alive), Route("/readyz", health.ready)]
        if self._smart is not None:
            routes += self._smart.routes(self._base_path.decode())
        rest = Starlette(routes=routes, lifespan=self._lifespan)
        # A redirect that adds a slash would send a form, and whatever is in it, once more (edge case 22).
        rest.router.redirect_slashes = False
        return rest

    def _smart_configuration(self) -> dict[str, object]:
        if self._smart is not None:
            return self._smart.configuration()
        server = self._settings.authorization_server
        return server.smart_configuration() if server is not None else {}

    def _server(self) -> FhirServer:
        limit = self._settings.upstream.max_verified_body_bytes
        return FhirServer(self._exchange, self.pool.base_path, body_limit=limit)

    def _parts(self, server: FhirServer) -> Parts:
        settings = self._settings
        rules = settings.rules()
        base_paths = tuple(urlsplit(base).path for base in (settings.upstream.base_url, settings.public_base_url))
        sealer = Sealer(_page_key(settings))
        panel = tuple(
            PanelSearch(one.resource_type, one.parameter, one.patient_element) for one in settings.compartments.panel
        )
        users = UserCompartments(server, rules, panel, base_paths, lifetime=settings.compartments.cache_seconds)
        rewriter = AddressRewriter(settings.upstream.base_url, settings.public_base_url)
        reader = Reader(server)
        pages = Pages(
            server,
            reader,
            sealer,
            rewriter,
            base_paths,
            public_base=settings.public_base_url,
            lifetime=settings.paging.lifetime_seconds,
        )
        keeper = Keeper(server, reader, pages, rewriter, self._metadata)
        return Parts(
            resolver=self._resolver(),
            grants=Grants(rules, users, entries=settings.token_cache.entries),
            keeper=keeper,
            sealer=sealer,
            cors=Cors(settings.cors.allowed_origins, self._registered_origins),
            witness=self._witness,
            realm=settings.public_base_url,
            body_limit=settings.limits.max_request_body_bytes,
            extra_parameters=settings.upstream.extra_search_parameters,
        )

    def _resolver(self) -> BearerResolver:
        settings = self._settings
        cache = TokenCache(
            entries=settings.token_cache.entries,
            max_age=settings.token_cache.max_age_seconds,
            refusals=settings.token_cache.refusals,
        )
        trusts = [_trust(issuer, self._control.get_document) for issuer in settings.issuers]
        own = None if self._smart is None else self._smart.own_tokens
        return BearerResolver(trusts, cache, settings.rules().bases, self._control.post_form, own)

    def _learn(self, statement: Any) -> None:
        """Note what the upstream does not declare, and warn where that leaves a search without narrowing (leak_12)."""
        undeclared = undeclared_parameters(statement)
        if not self._grants.learn(undeclared):
            return
        extra = self._settings.compartments.extra_membership
        wide = [name for name, missing in sorted(undeclared.items()) if _is_wide(name, missing, extra)]
        if wide:
            _log.warning(
                "the FHIR server declares no parameter to narrow these types by", extra={"resource_types": wide}
            )

    async def _look(self) -> None:
        """Read the upstream's statement at start, and again until it is known: before that nothing is counted."""
        while True:
            try:
                await self._metadata.answer(Trace(b"start"), time.time())
                return
            except Refused as refused:
                _log.warning("the FHIR server does not answer yet", extra={"reason": refused.deny.reason.value})
            await asyncio.sleep(_LOOK_AGAIN)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        beside = [asyncio.create_task(self._look())]
        if self._smart is not None:
            beside += await self._smart.begin(self._resolver_of_tokens.forget)
        try:
            yield
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self.pool.aclose()
            await self._control.aclose()
            if self._smart is not None:
                await self._smart.aclose()


def _smart(settings: Settings) -> "Smart | None":
    """The SMART server, where there is one: its pages, its store and their libraries are 11 MB of memory."""
    if settings.smart_server is None:
        return None
    from gateway.smart import Smart  # noqa: PLC0415 - beside another authorization server none of it is loaded

    return Smart(settings)


def _is_wide(resource_type: str, missing: frozenset[str], extra: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether no parameter that says whom such a record is about is declared."""
    name = narrowing_parameter("Patient", resource_type, extra)
    return name is not None and name != "_id" and aliases(resource_type, name) <= missing


def _pool(settings: Settings, constant_headers: Headers) -> ConnectionPool:
    pool = settings.upstream.pool
    return ConnectionPool(
        settings.upstream.base_url,
        connections=pool.connections,
        queue=pool.queue,
        connect_timeout=pool.connect_timeout_seconds,
        read_timeout=pool.read_timeout_seconds,
        total_timeout=pool.total_timeout_seconds,
        queue_timeout=pool.queue_timeout_seconds,
        idle_timeout=pool.idle_timeout_seconds,
        ssl_context=_ssl_context(settings.upstream),
        constant_headers=CONSTANT_HEADERS + constant_headers,
    )


def _page_key(settings: Settings) -> bytes:
    """The configured key, or one that lasts as long as the process: then paging links end with it."""
    return settings.paging.key_bytes() or secrets.token_bytes(32)
