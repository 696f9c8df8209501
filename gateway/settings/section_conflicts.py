"""Conflicts between sections. A section that is not valid as a whole has only its valid settings here."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.oauth.client.client import BY_CERTIFICATE, AuthenticationMethod
from gateway.settings.authorization.weak_secrets import WEAK_SECRET_RULES
from gateway.settings.enforcement.shadow import shadow_conflicts
from gateway.settings.insecure_urls import INSECURE_URL_RULES
from gateway.settings.section import Conflict

if TYPE_CHECKING:
    from gateway.settings.model import Settings

Rule = Callable[["Settings"], Iterator[Conflict]]


def _same_port(settings: "Settings") -> Iterator[Conflict]:
    listen, metrics = settings.listen, settings.metrics
    if listen.port and (listen.host, listen.port) == (metrics.host, metrics.port):
        yield Conflict(("metrics", "port"), "must differ from listen.port")


def _same_admin_port(settings: "Settings") -> Iterator[Conflict]:
    admin = settings.admin
    for name, other in (("listen", settings.listen), ("metrics", settings.metrics)):
        if admin.port and (admin.host, admin.port) == (other.host, other.port):
            yield Conflict(("admin", "port"), f"must differ from {name}.port")


def _admin_without_store(settings: "Settings") -> Iterator[Conflict]:
    if settings.admin.port is not None and settings.smart_server is None:
        yield Conflict(("admin", "port"), "needs smart_server, whose store has the sessions of administrators")


def _unknown_admin_provider(settings: "Settings") -> Iterator[Conflict]:
    provider, smart_server = settings.admin.provider, settings.smart_server
    if provider is None or smart_server is None:
        return
    known = {getattr(entry, "issuer", None): entry for entry in smart_server.identity_providers}
    if provider.issuer not in known:
        yield Conflict(("admin", "provider", "issuer"), "must be that of one of smart_server.identity_providers")
    elif getattr(known[provider.issuer], "roles_claim", None) is None:
        yield Conflict(("admin", "provider", "issuer"), "is of a provider without roles_claim, which tells no roles")


def _gateway_calls_itself(settings: "Settings") -> Iterator[Conflict]:
    if settings.public_base_url == settings.upstream.base_url:
        yield Conflict(("upstream", "base_url"), "must not be public_base_url: the gateway would call itself")


def _nobody_issues_tokens(settings: "Settings") -> Iterator[Conflict]:
    if settings.smart_server is None and settings.issuers == ():
        yield Conflict(("issuers",), "must name at least one issuer, or smart_server must be given")


def _two_authorization_servers(settings: "Settings") -> Iterator[Conflict]:
    if settings.smart_server is not None and settings.authorization_server is not None:
        yield Conflict(("authorization_server",), "is another server's, and smart_server is given")


def _brands_that_nothing_names(settings: "Settings") -> Iterator[Conflict]:
    if settings.user_access_brands is not None and not (settings.smart_server or settings.authorization_server):
        yield Conflict(
            ("user_access_brands",), "needs smart_server or authorization_server, so that discovery names it"
        )


def _issuer_at_the_base(settings: "Settings") -> Iterator[Conflict]:
    if settings.smart_server is not None:
        issuer = settings.smart_server.issuer
        issuer_path = "/auth" if issuer is None else urlsplit(issuer).path
        if issuer_path == urlsplit(settings.public_base_url).path:
            yield Conflict(("smart_server", "issuer"), "must have another path than public_base_url")


def _app_state_without_store(settings: "Settings") -> Iterator[Conflict]:
    if settings.app_state is not None and settings.smart_server is None:
        yield Conflict(("app_state",), "needs smart_server: its store keeps the state, and its tokens open it")


def _app_state_elsewhere(settings: "Settings") -> Iterator[Conflict]:
    """Its path must be its own: requests are told apart by their paths alone."""
    base = settings.app_state_base()
    if base is None or settings.smart_server is None:
        return
    path = urlsplit(base).path
    issuer_path = urlsplit(settings.smart_server_issuer()).path
    if not path or any(_overlap(path, other) for other in (issuer_path, urlsplit(settings.public_base_url).path)):
        yield Conflict(("app_state", "base_url"), "must have a path of its own beside public_base_url and the issuer")


def _overlap(path: str, other: str) -> bool:
    """Whether one path is or begins the other. The FHIR base without a path begins none."""
    return bool(other) and (path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/"))


def _purposes_that_nothing_asks_for(settings: "Settings") -> Iterator[Conflict]:
    if settings.smart_server is None or settings.record_rules.site_rules:
        return
    asked = settings.record_rules.security_labels.purposes_of_use
    for index, purpose in enumerate(settings.smart_server.purposes_of_use):
        code = getattr(purpose, "code", None)
        if code is not None and code not in asked:
            yield Conflict(
                ("smart_server", "purposes_of_use", index, "code"),
                "is a purpose that no rule asks for: record_rules.security_labels.purposes_of_use does not hold it",
            )


def _repeated_issuers(settings: "Settings") -> Iterator[Conflict]:
    names = [getattr(issuer, "issuer", None) for issuer in settings.issuers]
    for index, name in enumerate(names):
        if name is not None and name in names[:index]:
            yield Conflict(("issuers", index, "issuer"), f"is the same as issuers[{names.index(name)}].issuer")


def _any_origin(settings: "Settings") -> Iterator[Conflict]:
    if "*" in settings.cors.allowed_origins and not settings.development:
        yield Conflict(("cors", "allowed_origins"), "may hold * only under development: true")


def _panel_that_apps_extend(settings: "Settings") -> Iterator[Conflict]:
    """An app could write a List that names a patient who is not on the panel."""
    if settings.compartments.panel and settings.writes.allow and not settings.writes.check_references:
        yield Conflict(
            ("writes", "check_references"), "must be true where a panel says whom users reach: apps could add to it"
        )


def _clients_without_certificates(settings: "Settings") -> Iterator[Conflict]:
    certificates = settings.listen.client_certificates
    for index, client in enumerate(settings.smart_server.clients if settings.smart_server is not None else ()):
        method = client.to_client().authentication
        if method in BY_CERTIFICATE and certificates is None:
            yield Conflict(
                ("smart_server", "clients", index, "type"),
                f"is {client.type}, which needs listen.client_certificates: no certificate is seen here",
            )
        elif (
            method is AuthenticationMethod.TLS_CLIENT_AUTH
            and certificates is not None
            and certificates.authorities_file is None
        ):
            yield Conflict(
                ("listen", "client_certificates", "authorities_file"), f"is required by the app {client.client_id}"
            )


CROSS_SECTION_RULES: tuple[Rule, ...] = (
    *INSECURE_URL_RULES,
    *WEAK_SECRET_RULES,
    _any_origin,
    _same_port,
    _same_admin_port,
    _admin_without_store,
    _unknown_admin_provider,
    _gateway_calls_itself,
    _nobody_issues_tokens,
    _two_authorization_servers,
    _brands_that_nothing_names,
    _issuer_at_the_base,
    _purposes_that_nothing_asks_for,
    _app_state_without_store,
    _app_state_elsewhere,
    _repeated_issuers,
    _panel_that_apps_extend,
    _clients_without_certificates,
    shadow_conflicts,
)
