"""Settings of registered clients, in the configuration and in requests to the admin API."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainSerializer

from gateway.oauth.client.client import (
    AuthenticationMethod,
    CertificateName,
    Client,
    GrantType,
    digest_secret,
    find_web_origin,
)
from gateway.oauth.client.registered_jwks import ClientJwksError, check_client_jwks
from gateway.scopes.model import Context, ResourceScope, Scope
from gateway.settings.authorization.client_types import (
    DistinguishedName,
    LaunchUri,
    RedirectUri,
    Scopes,
    Thumbprint,
    read_scopes,
)
from gateway.settings.enforcement.app_state import AppStateCodes
from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.setting_types import (
    Count,
    Flag,
    Line,
    Origin,
    Secret,
    SecretHash,
    Url,
    Word,
    is_loopback,
    to_plain_dict,
    to_read_only,
)

MAX_ACCESS_TOKEN_SECONDS = 86400
"""The longest that an access token of an app may be valid."""
MAX_BACKEND_TOKEN_SECONDS = 3600
"""The longest that an access token of a backend service may be valid."""

_AUTHENTICATION_METHODS = {
    "public": AuthenticationMethod.NONE,
    "confidential-symmetric": AuthenticationMethod.CLIENT_SECRET_BASIC,
    "confidential-asymmetric": AuthenticationMethod.PRIVATE_KEY_JWT,
    "tls-client-auth": AuthenticationMethod.TLS_CLIENT_AUTH,
    "self-signed-tls-client-auth": AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH,
}
# The types that may be backend services: those that prove the possession of a key.
_BY_KEY = ("confidential-asymmetric", "tls-client-auth", "self-signed-tls-client-auth")


class ClientEntry(Section):
    """One app that may request access."""

    client_id: Annotated[Word, Field(max_length=255, description="Its client id.")]
    name: Annotated[Line, Field(max_length=200, description="The name that users see.")]
    type: Annotated[
        Literal[
            "public",
            "confidential-symmetric",
            "confidential-asymmetric",
            "tls-client-auth",
            "self-signed-tls-client-auth",
        ],
        Field(
            description="How it authenticates: not at all, by a shared secret (HTTP Basic), by a key of its own "
            "(`private_key_jwt`), or by the certificate of its connection (RFC 8705; see listen.client_certificates)."
        ),
    ] = "public"
    redirect_uris: Annotated[
        tuple[RedirectUri, ...],
        Field(
            description="Where authorization responses may go, compared character by character. One that starts with "
            "`http://127.0.0.1/` or `http://[::1]/`, without a port, is that of a native app and holds for every port."
        ),
    ] = ()
    launch_uris: Annotated[tuple[LaunchUri, ...], Field(description="Where an EHR opens it.")] = ()
    scopes: Annotated[
        Scopes | None,
        Field(
            description="The most it may be granted, as in a scope parameter; without it, whatever its user may grant."
        ),
    ] = None
    grant_types: Annotated[
        tuple[Literal["authorization_code", "client_credentials"], ...],
        Field(description="The grant types that it may use; none for a confidential client that only introspects."),
    ] = ("authorization_code",)
    client_secret: Annotated[
        Secret | None, Field(description="The shared secret; 16 characters or more, except in development.")
    ] = None
    client_secret_hash: Annotated[
        SecretHash | None,
        Field(description="The argon2 hash of the shared secret instead, as `clients add` prints it."),
    ] = None
    jwks: Annotated[
        Mapping[str, Any] | None,
        AfterValidator(lambda value: None if value is None else to_read_only(value)),
        PlainSerializer(lambda value: None if value is None else to_plain_dict(value)),
        Field(description="Its public keys, as a JWK Set."),
    ] = None
    jwks_uri: Annotated[
        Url | None,
        Field(description="The URL where it publishes its keys; better than `jwks`, because it can replace them."),
    ] = None
    tls_client_auth_subject_dn: Annotated[
        DistinguishedName | None,
        Field(description="The subject of its certificate as in RFC 4514; for the type `tls-client-auth`."),
    ] = None
    tls_client_auth_san_dns: Annotated[
        Word | None, Field(description="Or a DNS name in its certificate (`subjectAltName`), compared as it stands.")
    ] = None
    tls_client_auth_san_uri: Annotated[
        Word | None, Field(description="Or a URI in its certificate, such as a SPIFFE id, compared as it stands.")
    ] = None
    certificate_thumbprints: Annotated[
        tuple[Thumbprint, ...] | None,
        Field(
            description="The certificates of an app of the type `self-signed-tls-client-auth`: the SHA-256 of each as "
            "base64url without `=` (`x5t#S256`)."
        ),
    ] = None
    origins: Annotated[
        tuple[Origin, ...],
        Field(description="The web origins that it may call from, in addition to those of its redirect URIs."),
    ] = ()
    purpose: Annotated[str, Field(max_length=500, description="What it is for, in a sentence for its users.")] = ""
    logo: Annotated[Url | None, Field(description="The URL of its logo.")] = None
    policy: Annotated[Url | None, Field(description="The URL of its privacy policy, for its users.")] = None
    terms: Annotated[Url | None, Field(description="The URL of its terms of use, for its users.")] = None
    may_refresh: Annotated[Flag, Field(description="Whether `offline_access` and `online_access` are granted.")] = True
    may_introspect: Annotated[Flag, Field(description="Whether it may introspect any token.")] = False
    require_pkce: Annotated[
        Flag,
        Field(
            description="Whether it must use PKCE. Without it, whoever sees the code of a public app can redeem it: "
            "false only for an app of SMART 1.0 that cannot be changed."
        ),
    ] = True
    require_state: Annotated[Flag, Field(description="Whether it must send a `state`.")] = True
    strict_scopes: Annotated[
        Flag,
        Field(
            description="Whether a request with a scope that cannot be read is refused; otherwise the scope is ignored."
        ),
    ] = False
    skip_consent: Annotated[
        Flag,
        Field(
            description="Whether there is no consent page: for apps that the organisation itself is responsible "
            "for, and that have a secret, a key or an https redirect URI."
        ),
    ] = False
    app_state: Annotated[
        tuple[AppStateCodes, ...] | None,
        Field(
            description="The codes of app state that it may use, where the setting app_state is given. Without it: "
            "those whose system is its https origin, if all its redirect URIs have the same one; none for an app that "
            "registered itself."
        ),
    ] = None
    userinfo_in_token_response: Annotated[
        Flag, Field(description="Whether its token responses include the user as `userinfo` (for Aidbox's apps).")
    ] = False
    access_token_seconds: Annotated[
        Count | None,
        Field(
            le=MAX_ACCESS_TOKEN_SECONDS,
            description="How long its access tokens are valid; those of a backend service for an hour at most.",
        ),
    ] = None

    # The app needs one way to authenticate, and everything that its grant types need (R-5..R-11).

    @conflict_rule
    def _no_redirect_uris(self) -> Iterator[Conflict]:
        if "authorization_code" in self.grant_types and not self.redirect_uris:
            yield Conflict(("redirect_uris",), "must hold at least one address for the authorization code grant")

    @conflict_rule
    def _no_grant_types(self) -> Iterator[Conflict]:
        if not self.grant_types and (not self.may_introspect or self.type == "public"):
            yield Conflict(("grant_types",), "may be empty only for a confidential client with may_introspect")

    @conflict_rule
    def _backend_type(self) -> Iterator[Conflict]:
        if "client_credentials" in self.grant_types and self.type not in _BY_KEY:
            sentence = f"may hold client_credentials only for the types {', '.join(_BY_KEY[:-1])} and {_BY_KEY[-1]}"
            yield Conflict(("grant_types",), sentence)

    @conflict_rule
    def _backend_scopes(self) -> Iterator[Conflict]:
        if "client_credentials" in self.grant_types and not any(
            isinstance(scope, ResourceScope) and scope.context is Context.SYSTEM for scope in self._read_scopes()
        ):
            yield Conflict(("scopes",), "must name the system/ scopes that client_credentials may be granted")

    @conflict_rule
    def _long_backend_tokens(self) -> Iterator[Conflict]:
        longest = MAX_BACKEND_TOKEN_SECONDS
        if "client_credentials" in self.grant_types and (self.access_token_seconds or 0) > longest:
            yield Conflict(("access_token_seconds",), f"may be at most {longest} for client_credentials")

    @conflict_rule
    def _insecure_jwks_uri(self) -> Iterator[Conflict]:
        if self.jwks_uri is not None and not self.jwks_uri.startswith("https://") and not is_loopback(self.jwks_uri):
            yield Conflict(("jwks_uri",), "must start with https://, or name a loopback host such as localhost")

    @conflict_rule
    def _unusable_jwks(self) -> Iterator[Conflict]:
        if self.jwks is not None:
            try:
                check_client_jwks(self.jwks)
            except ClientJwksError as error:
                yield Conflict(("jwks",), f"cannot be used: {error}")

    @conflict_rule
    def _wrong_credentials(self) -> Iterator[Conflict]:
        credentials = {
            "confidential-symmetric": ("client_secret", "client_secret_hash"),
            "confidential-asymmetric": ("jwks", "jwks_uri"),
            "tls-client-auth": (
                "tls_client_auth_subject_dn",
                "tls_client_auth_san_dns",
                "tls_client_auth_san_uri",
            ),
            "self-signed-tls-client-auth": ("certificate_thumbprints",),
        }
        for kind, names in credentials.items():
            given = [name for name in names if getattr(self, name) is not None]
            if self.type == kind and len(given) != 1:
                needed = f"exactly one of {' and '.join(names)}" if len(names) > 1 else names[0]
                yield Conflict((), f"of the type {kind} needs {needed}")
            if self.type != kind and given:
                yield Conflict((given[0],), f"is only for the type {kind}")

    def _read_scopes(self) -> tuple[Scope, ...]:
        return () if self.scopes is None else read_scopes(self.scopes)

    def _certificate_name(self) -> CertificateName | None:
        if self.tls_client_auth_subject_dn is not None:
            return CertificateName("subject_dn", self.tls_client_auth_subject_dn)
        if self.tls_client_auth_san_dns is not None:
            return CertificateName("san_dns", self.tls_client_auth_san_dns)
        if self.tls_client_auth_san_uri is not None:
            return CertificateName("san_uri", self.tls_client_auth_san_uri)
        return None

    def to_client(self) -> Client:
        """The client as the protocol sees it. A secret is kept as a digest, which is enough because it is random."""
        secret = self.client_secret_hash
        if self.client_secret is not None:
            secret = digest_secret(self.client_secret.get_secret_value())
        grants = {GrantType(name) for name in self.grant_types}
        if "authorization_code" in self.grant_types and self.may_refresh:
            grants.add(GrantType.REFRESH_TOKEN)
        return Client(
            client_id=self.client_id,
            name=self.name,
            authentication=_AUTHENTICATION_METHODS[self.type],
            grant_types=frozenset(grants),
            redirect_uris=self.redirect_uris,
            launch_uris=self.launch_uris,
            scopes=None if self.scopes is None else read_scopes(self.scopes),
            secret_hash=secret,
            jwks=self.jwks,
            jwks_uri=self.jwks_uri,
            certificate_name=self._certificate_name(),
            certificate_thumbprints=frozenset(self.certificate_thumbprints or ()),
            origins=frozenset({*self.origins, *filter(None, map(find_web_origin, self.redirect_uris))}),
            purpose=self.purpose,
            logo=self.logo or "",
            policy=self.policy or "",
            terms=self.terms or "",
            may_refresh=self.may_refresh,
            may_introspect=self.may_introspect,
            require_pkce=self.require_pkce,
            require_state=self.require_state,
            strict_scopes=self.strict_scopes,
            skip_consent=self.skip_consent,
            state_codes=None if self.app_state is None else tuple(entry.codes() for entry in self.app_state),
            userinfo_in_token_response=self.userinfo_in_token_response,
            access_token_lifetime=self.access_token_seconds,
        )
