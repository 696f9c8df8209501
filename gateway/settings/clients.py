"""Settings of the registered clients, as they stand in the configuration and are sent to the admin API."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainSerializer

from gateway.oauth.client import AuthenticationMethod, Client, GrantType, digest_of
from gateway.oauth.client_jwks import ClientJwksError, check_client_jwks
from gateway.oauth.redirect_uri import flaw_of
from gateway.scopes.model import Context, ResourceScope, Scope
from gateway.scopes.parse import ScopeError, parse_scopes
from gateway.settings.section import Conflict, Section
from gateway.settings.values import Count, Flag, Line, Origin, Secret, Text, Url, Word, is_loopback, plain, read_only

_METHODS = {
    "public": AuthenticationMethod.NONE,
    "confidential-symmetric": AuthenticationMethod.CLIENT_SECRET_BASIC,
    "confidential-asymmetric": AuthenticationMethod.PRIVATE_KEY_JWT,
}


def _address(value: str) -> str:
    flaw = flaw_of(value)
    if flaw is not None:
        raise ValueError(f"holds {value!r}, which {flaw}")
    return value


def scopes_of(text: str) -> tuple[Scope, ...]:
    """The scopes of a configured text, all of which must be understood. Raises `ValueError`."""
    try:
        parsed = parse_scopes(text)
    except ScopeError as error:
        raise ValueError(f"holds scopes that cannot be read: {error}") from None
    if parsed.refused:
        raise ValueError(f"holds a scope that cannot be read: {parsed.refused[0]}")
    return parsed.scopes


def _scopes(text: str) -> str:
    scopes_of(text)
    return text


RedirectUri = Annotated[str, AfterValidator(_address)]
# What opens an app is as fixed as where its answers go, and stands in the same policy of a page.
LaunchUri = Annotated[Url, AfterValidator(_address)]
Scopes = Annotated[str, AfterValidator(_scopes)]


class ClientEntry(Section):
    """One app that may ask for access."""

    client_id: Annotated[Word, Field(max_length=255, description="The name it asks by.")]
    name: Annotated[Line, Field(max_length=200, description="What people call it.")]
    type: Annotated[
        Literal["public", "confidential-symmetric", "confidential-asymmetric"],
        Field(
            description="Whether it can keep a secret, and which: none, a shared one sent by HTTP Basic, or a key of "
            "its own (`private_key_jwt`)."
        ),
    ] = "public"
    redirect_uris: Annotated[
        tuple[RedirectUri, ...], Field(description="Where its answers go, compared character by character.")
    ] = ()
    launch_uris: Annotated[tuple[LaunchUri, ...], Field(description="Where an EHR opens it.")] = ()
    scopes: Annotated[
        Scopes | None,
        Field(description="The most it may be granted, as in a scope parameter; without it what its user may."),
    ] = None
    grant_types: Annotated[
        tuple[Literal["authorization_code", "client_credentials"], ...],
        Field(min_length=1, description="The grants it may use."),
    ] = ("authorization_code",)
    client_secret: Annotated[Secret | None, Field(description="The shared secret.")] = None
    client_secret_hash: Annotated[
        Text | None, Field(description="The argon2 hash of the shared secret instead, as `clients add` prints it.")
    ] = None
    jwks: Annotated[
        Mapping[str, Any] | None,
        AfterValidator(lambda value: None if value is None else read_only(value)),
        PlainSerializer(lambda value: None if value is None else plain(value)),
        Field(description="Its public keys, as a JWK Set."),
    ] = None
    jwks_uri: Annotated[Url | None, Field(description="Where it publishes its keys; better than jwks.")] = None
    origins: Annotated[
        tuple[Origin, ...],
        Field(description="The web origins that it may call from; those of its redirect URIs count too."),
    ] = ()
    purpose: Annotated[str, Field(max_length=500, description="What it is for, in a sentence for its users.")] = ""
    logo: Annotated[Url | None, Field(description="Its picture.")] = None
    may_refresh: Annotated[Flag, Field(description="Whether `offline_access` and `online_access` are granted.")] = True
    may_introspect: Annotated[Flag, Field(description="Whether it may ask about any token.")] = False
    require_pkce: Annotated[
        Flag, Field(description="Whether it must use PKCE; only a confidential client may go without.")
    ] = True
    require_state: Annotated[Flag, Field(description="Whether it must send a state.")] = True
    strict_scopes: Annotated[
        Flag, Field(description="Whether a scope that is not understood refuses the request instead of being left out.")
    ] = False
    skip_consent: Annotated[
        Flag,
        Field(
            description="Whether users are not asked: for apps that the organisation itself answers for, and that have "
            "a secret, a key or an https redirect URI."
        ),
    ] = False
    userinfo_in_token_response: Annotated[
        Flag, Field(description="Whether its token responses say who signed in, as `userinfo` (for Aidbox's apps).")
    ] = False
    access_token_seconds: Annotated[Count | None, Field(description="How long its access tokens last.")] = None

    def conflicts(self) -> Iterator[Conflict]:
        """One way to prove itself, and all that its grants need (R-5..R-11)."""
        yield from self._proof()
        if "authorization_code" in self.grant_types and not self.redirect_uris:
            yield Conflict(("redirect_uris",), "must hold at least one address for the authorization code grant")
        if "client_credentials" in self.grant_types:
            if self.type != "confidential-asymmetric":
                yield Conflict(
                    ("grant_types",), "may hold client_credentials only for the type confidential-asymmetric"
                )
            if not any(isinstance(one, ResourceScope) and one.context is Context.SYSTEM for one in self._scopes()):
                yield Conflict(("scopes",), "must name the system/ scopes that client_credentials may be granted")
        if not self.require_pkce and self.type == "public":
            yield Conflict(("require_pkce",), "may be false only for a confidential client")
        if self.jwks_uri is not None and not self.jwks_uri.startswith("https://") and not is_loopback(self.jwks_uri):
            yield Conflict(("jwks_uri",), "must start with https://, or name a loopback host such as localhost")
        if self.jwks is not None:
            try:
                check_client_jwks(self.jwks)
            except ClientJwksError as error:
                yield Conflict(("jwks",), f"cannot be used: {error}")

    def _proof(self) -> Iterator[Conflict]:
        ways = {
            "confidential-symmetric": ("client_secret", "client_secret_hash"),
            "confidential-asymmetric": ("jwks", "jwks_uri"),
        }
        for kind, names in ways.items():
            given = [name for name in names if getattr(self, name) is not None]
            if self.type == kind and len(given) != 1:
                yield Conflict((), f"of the type {kind} needs exactly one of {' and '.join(names)}")
            if self.type != kind and given:
                yield Conflict((given[0],), f"is only for the type {kind}")

    def _scopes(self) -> tuple[Scope, ...]:
        return () if self.scopes is None else scopes_of(self.scopes)

    def client(self) -> Client:
        """The client as the protocol sees it. A plain secret is kept as its digest: it is random, so that will do."""
        secret = self.client_secret_hash
        if self.client_secret is not None:
            secret = digest_of(self.client_secret.get_secret_value())
        grants = {GrantType(one) for one in self.grant_types}
        if "authorization_code" in self.grant_types and self.may_refresh:
            grants.add(GrantType.REFRESH_TOKEN)
        return Client(
            client_id=self.client_id,
            name=self.name,
            authentication=_METHODS[self.type],
            grant_types=frozenset(grants),
            redirect_uris=self.redirect_uris,
            launch_uris=self.launch_uris,
            scopes=None if self.scopes is None else scopes_of(self.scopes),
            secret_hash=secret,
            jwks=self.jwks,
            jwks_uri=self.jwks_uri,
            origins=frozenset({*self.origins, *filter(None, map(_web_origin, self.redirect_uris))}),
            purpose=self.purpose,
            logo=self.logo or "",
            may_refresh=self.may_refresh,
            may_introspect=self.may_introspect,
            require_pkce=self.require_pkce,
            require_state=self.require_state,
            strict_scopes=self.strict_scopes,
            skip_consent=self.skip_consent,
            userinfo_in_token_response=self.userinfo_in_token_response,
            access_lifetime=self.access_token_seconds,
        )


def _web_origin(uri: str) -> str | None:
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}" if scheme in {"https", "http"} else None
