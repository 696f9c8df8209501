"""Settings of the admin port: where it listens, and who administers the gateway there."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.serving.listen import ListenTls
from gateway.settings.setting_types import Argon2Hash, Count, Line, Origin, Port, Text, TokenHash, Url, is_loopback

AdminRole = Annotated[
    Literal["operator", "auditor"], Field(description="`operator`, who may change things, or `auditor`, who may read.")
]


class AdminAccount(Section):
    """A person who administers the gateway and signs in with a password."""

    name: Annotated[Line, Field(max_length=100, description="The name to sign in with, which the audit log shows.")]
    password_hash: Annotated[
        Argon2Hash, Field(description="The argon2 hash of the password, as `admin account` prints it.")
    ]
    role: AdminRole


class AdminToken(Section):
    """A program that administers the gateway, with a bearer token."""

    name: Annotated[Line, Field(max_length=100, description="What it is, which the audit log shows.")]
    token_hash: Annotated[TokenHash, Field(description="The hash of its token, as `admin token` prints it.")]
    role: AdminRole


class AdminProvider(Section):
    """An OpenID provider where administrators sign in: one of smart_server.identity_providers, with `roles_claim`."""

    issuer: Annotated[Url, Field(description="Its issuer, as in smart_server.identity_providers.")]
    operator_roles: Annotated[
        tuple[Text, ...], Field(description="Its roles whose users are operators here, by its `roles_claim`.")
    ] = ()
    auditor_roles: Annotated[tuple[Text, ...], Field(description="Its roles whose users are auditors here.")] = ()

    @conflict_rule
    def _no_roles(self) -> Iterator[Conflict]:
        if not self.operator_roles and not self.auditor_roles:
            yield Conflict((), "needs operator_roles or auditor_roles: nobody could sign in")


class Admin(Section):
    """The admin port: pages and an API for those who run the gateway."""

    host: Annotated[Text, Field(description="The address to listen on.")] = "127.0.0.1"
    port: Annotated[Port | None, Field(description="The port; 0 for any that is free, null for no admin port.")] = None
    base_url: Annotated[
        Origin | None,
        Field(
            description="Where browsers reach it, such as https://admin.example.org; another `Host` is refused. "
            "Without it, only names of this machine are accepted."
        ),
    ] = None
    tls: Annotated[
        ListenTls | None, Field(description="TLS on the admin port; without it, a proxy in front must end it.")
    ] = None
    accounts: Annotated[
        tuple[AdminAccount, ...], Field(description="The people who administer the gateway with a password.")
    ] = ()
    tokens: Annotated[
        tuple[AdminToken, ...], Field(description="The programs that administer the gateway by its API.")
    ] = ()
    provider: Annotated[
        AdminProvider | None, Field(description="Where administrators sign in beside these accounts.")
    ] = None
    session_seconds: Annotated[Count, Field(description="Sessions of administrators, from their last use.")] = 1800
    session_max_seconds: Annotated[
        Count, Field(le=86400, description="Sessions of administrators, from the sign-in, however much they are used.")
    ] = 8 * 3600
    recent_decisions_bytes: Annotated[
        Count,
        Field(
            ge=64 * 1024,
            le=1024 * 1024 * 1024,
            description="The memory of each worker in which the audit lines of its last decisions stay, so that they "
            "can be looked up and explained. A line has about 700 bytes.",
        ),
    ] = 8 * 1024 * 1024

    @conflict_rule
    def _repeated_accounts(self) -> Iterator[Conflict]:
        return _repeated("accounts", self.accounts)

    @conflict_rule
    def _repeated_tokens(self) -> Iterator[Conflict]:
        return _repeated("tokens", self.tokens)

    @conflict_rule
    def _nobody_may_enter(self) -> Iterator[Conflict]:
        if self.port is not None and not self.accounts and not self.tokens and self.provider is None:
            yield Conflict(("accounts",), "must name somebody, or tokens or provider must, because there is a port")

    @conflict_rule
    def _unknown_host(self) -> Iterator[Conflict]:
        if self.port is not None and self.base_url is None and not is_loopback(_url_of(self.host)):
            yield Conflict(("base_url",), f"is required, because {self.host} can be reached from other machines")

    @conflict_rule
    def _provider_without_base_url(self) -> Iterator[Conflict]:
        if self.provider is not None and self.base_url is None:
            yield Conflict(("base_url",), "is required by provider, which sends browsers back there")

    @property
    def uses_https(self) -> bool:
        """Whether browsers reach it by https."""
        return self.tls is not None if self.base_url is None else self.base_url.startswith("https://")


def _url_of(host: str) -> str:
    return f"http://[{host}]" if ":" in host else f"http://{host}"


def _repeated(name: str, entries: Sequence[AdminAccount] | Sequence[AdminToken]) -> Iterator[Conflict]:
    """Entries with the name of an earlier one, which the audit log could not tell apart."""
    names = [getattr(entry, "name", None) for entry in entries]
    for index, value in enumerate(names):
        if value is not None and value in names[:index]:
            yield Conflict((name, index, "name"), f"is the same as {name}[{names.index(value)}].name")
