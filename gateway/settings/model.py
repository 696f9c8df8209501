"""The whole configuration as one frozen value; what each setting means is said beside it, once."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from gateway.policy.rules import Rules
from gateway.settings import section
from gateway.settings.authorization_server import AuthorizationServer
from gateway.settings.compartments import Compartments, PanelSearch
from gateway.settings.issuers import Algorithm, Claims, Introspection, Issuer, TokenCache
from gateway.settings.section import Conflict, Section
from gateway.settings.smart_server import SmartServer
from gateway.settings.upstream import (
    Authentication,
    BasicAuthentication,
    BearerAuthentication,
    ClientCredentials,
    NoAuthentication,
    Pool,
    Tls,
    Upstream,
)
from gateway.settings.values import (
    BaseUrl,
    Count,
    Flag,
    KeySecret,
    Origin,
    Port,
    Secret,
    Text,
    decode_key,
    is_loopback,
)

__all__ = [
    "Algorithm",
    "Audit",
    "Authentication",
    "AuthorizationServer",
    "BasicAuthentication",
    "BearerAuthentication",
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
    "Paging",
    "PanelSearch",
    "Pool",
    "Settings",
    "SmartServer",
    "Tls",
    "TokenCache",
    "Upstream",
    "root_conflicts",
]


class Listen(Section):
    """Where apps reach the gateway."""

    host: Annotated[Text, Field(description="The address to listen on; `0.0.0.0` for every one.")] = "127.0.0.1"
    port: Annotated[Port, Field(description="The port; 0 for any that is free.")] = 8080


class MetricsListen(Section):
    """Where Prometheus reaches the gateway: a port of its own, so that apps never see `/metrics`."""

    host: Annotated[Text, Field(description="The address to listen on.")] = "127.0.0.1"
    port: Annotated[
        Port | None, Field(description="The port of `/metrics`; 0 for any that is free, null for no metrics.")
    ] = 9090


class Limits(Section):
    """How large a request may be."""

    max_request_body_bytes: Annotated[
        Count, Field(description="The largest request body; a larger one is refused with 413.")
    ] = 1024 * 1024


class Cors(Section):
    """Browser apps of other origins."""

    allowed_origins: Annotated[
        tuple[Origin, ...],
        Field(description="Origins whose pages may use the FHIR endpoints; discovery is open to all anyway."),
    ] = ()


class Paging(Section):
    """Paging links are sealed: only the grant they were made for can open them."""

    key: Annotated[
        KeySecret | None,
        Field(
            description="Base64 of at least 32 random bytes, the same in every process. Without one each process makes "
            "its own at start, and its links end with it."
        ),
    ] = None
    lifetime_seconds: Annotated[Count, Field(description="How long a paging link can be followed.")] = 3600

    def key_bytes(self) -> bytes | None:
        """The key itself; None where each process is to make its own."""
        return None if self.key is None else decode_key(self.key)


class Audit(Section):
    """One line of JSON for every decision."""

    destination: Annotated[Text, Field(description="`stdout`, or the path of a file to append to.")] = "stdout"
    hash_patient: Annotated[
        Flag, Field(description="Whether the patient's id is written as an HMAC (SHA-256) instead of in clear.")
    ] = False
    hash_key: Annotated[Secret | None, Field(description="The key of that HMAC.")] = None

    def conflicts(self) -> Iterator[Conflict]:
        """A hash without a key could be undone by trying every id."""
        if self.hash_patient and self.hash_key is None:
            yield Conflict(("hash_key",), "is required when hash_patient is true")
        if self.hash_key is not None and not self.hash_patient:
            yield Conflict(("hash_key",), "is used only when hash_patient is true")
        path = self.path()
        if path is not None and not path.parent.is_dir():
            yield Conflict(("destination",), "names a directory that does not exist")

    def path(self) -> Path | None:
        """The file to append to; None for standard output."""
        return None if self.destination == "stdout" else Path(self.destination)


class Settings(Section):
    """Everything an operator decides."""

    public_base_url: Annotated[
        BaseUrl, Field(description="The FHIR base URL as apps see it, without a slash at the end. Never from `Host`.")
    ]
    development: Annotated[
        Flag, Field(description="Allow http on this machine and `*` as an origin. Never in production.")
    ] = False
    listen: Annotated[Listen, Field(description="Where apps reach the gateway.")] = Listen()
    metrics: Annotated[MetricsListen, Field(description="Where Prometheus reaches the gateway.")] = MetricsListen()
    upstream: Annotated[Upstream, Field(description="The FHIR server behind the gateway.")]
    smart_server: Annotated[
        SmartServer | None,
        Field(description="The gateway's own authorization server; without it tokens come from the issuers alone."),
    ] = None
    issuers: Annotated[
        tuple[Issuer, ...], Field(description="The other issuers whose access tokens are accepted.")
    ] = ()
    token_cache: Annotated[TokenCache, Field(description="How long a checked token is remembered.")] = TokenCache()
    compartments: Annotated[
        Compartments,
        Field(default_factory=Compartments, description="What belongs to a patient, and what a practitioner may see."),
    ]
    authorization_server: Annotated[
        AuthorizationServer | None,
        Field(description="What apps are told in `.well-known/smart-configuration`; without it there is none."),
    ] = None
    limits: Annotated[Limits, Field(description="How large a request may be.")] = Limits()
    cors: Annotated[Cors, Field(description="Browser apps of other origins.")] = Cors()
    paging: Annotated[Paging, Field(description="Paging links.")] = Paging()
    audit: Annotated[Audit, Field(description="One line of JSON for every decision.")] = Audit()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="The least urgent message that is logged.")
    ] = "info"

    def own_issuer(self) -> str:
        """The base URL of our own authorization server: configured, or `/auth` beside the FHIR base."""
        smart = self.smart_server
        if smart is not None and smart.issuer is not None:
            return smart.issuer
        parts = urlsplit(self.public_base_url)
        return f"{parts.scheme}://{parts.netloc}/auth"

    def rules(self) -> Rules:
        """The part that decisions need. What the FHIR server does not support is found at start-up and added there."""
        reach = self.compartments
        return Rules(
            public_base=self.public_base_url,
            upstream_base=self.upstream.base_url,
            membership=reach.membership,
            extra_membership=reach.extra_membership,
            shared_types=reach.shared_types,
            searchable_shared_types=reach.searchable_shared_types,
            practitioner_reach=reach.practitioner_reach,
            compartment_search=self.upstream.compartment_search,
        )

    def conflicts(self) -> Iterator[Conflict]:
        """Where sections disagree."""
        return root_conflicts({name: getattr(self, name) for name in type(self).model_fields})


def root_conflicts(sections: Mapping[str, object]) -> Iterator[Conflict]:
    """Where sections disagree, as far as they are given: a loader leaves out those that are wrong by themselves."""
    development = sections.get("development")
    if isinstance(development, bool):
        yield from _insecure(sections, development=development)
    match sections:
        case {"listen": Listen() as listen, "metrics": MetricsListen() as metrics}:
            if listen.port and (listen.host, listen.port) == (metrics.host, metrics.port):
                yield Conflict(("metrics", "port"), "must differ from listen.port")
    match sections:
        case {"public_base_url": str(public), "upstream": Upstream(base_url=base)} if public == base:
            yield Conflict(("upstream", "base_url"), "must not be public_base_url: the gateway would call itself")
    if sections.get("smart_server", "wrong") is None and sections.get("issuers", "wrong") == ():
        yield Conflict(("issuers",), "must name at least one issuer, or smart_server must be given")
    match sections:
        case {"smart_server": SmartServer(), "authorization_server": AuthorizationServer()}:
            yield Conflict(("authorization_server",), "is another server's, and smart_server is given")
    match sections:
        case {"public_base_url": str(public), "smart_server": SmartServer(issuer=issuer)}:
            own = "/auth" if issuer is None else urlsplit(issuer).path
            if own == urlsplit(public).path:
                yield Conflict(("smart_server", "issuer"), "must have another path than public_base_url")
    names = [issuer.issuer for issuer in _issuers(sections)]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Conflict(("issuers", index, "issuer"), f"is the same as issuers[{names.index(name)}].issuer")


def _insecure(sections: Mapping[str, object], *, development: bool) -> Iterator[Conflict]:
    """Plain http where tokens or secrets travel between organisations (authorization.md, fixed choice 12)."""
    for path, url in _exposed_urls(sections):
        if url.startswith("https://"):
            continue
        if not development:
            yield Conflict(path, "must start with https:// (http:// is for loopback under development: true)")
        elif not is_loopback(url):
            yield Conflict(path, "must start with https://, or name a loopback host such as localhost")
    match sections:
        case {"cors": Cors(allowed_origins=origins)} if "*" in origins and not development:
            yield Conflict(("cors", "allowed_origins"), "may hold * only under development: true")


def _exposed_urls(sections: Mapping[str, object]) -> Iterator[tuple[section.Path, str]]:
    public = sections.get("public_base_url")
    if isinstance(public, str):
        yield ("public_base_url",), public
    upstream = sections.get("upstream")
    if isinstance(upstream, Upstream) and isinstance(upstream.authentication, ClientCredentials):
        yield ("upstream", "authentication", "token_endpoint"), upstream.authentication.token_endpoint
    for index, issuer in enumerate(_issuers(sections)):
        if issuer.jwks_url is not None:
            yield ("issuers", index, "jwks_url"), issuer.jwks_url
        if issuer.introspection is not None:
            yield ("issuers", index, "introspection", "endpoint"), issuer.introspection.endpoint
    smart = sections.get("smart_server")
    if isinstance(smart, SmartServer):
        if smart.issuer is not None:
            yield ("smart_server", "issuer"), smart.issuer
        for index, provider in enumerate(smart.identity_providers):
            yield ("smart_server", "identity_providers", index, "issuer"), provider.issuer
        for index, client in enumerate(smart.clients):
            if client.jwks_uri is not None:
                yield ("smart_server", "clients", index, "jwks_uri"), client.jwks_uri
    server = sections.get("authorization_server")
    if isinstance(server, AuthorizationServer):
        for name in type(server).model_fields:
            value = getattr(server, name)
            if isinstance(value, str):
                yield ("authorization_server", name), value


def _issuers(sections: Mapping[str, object]) -> list[Issuer]:
    given = sections.get("issuers")
    return [one for one in given if isinstance(one, Issuer)] if isinstance(given, tuple) else []
