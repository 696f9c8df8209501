"""Settings of another authorization server, for `.well-known/smart-configuration` (checklist D-5..D-20)."""

from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.setting_types import Url, Word

Words = tuple[Word, ...]
SupportedGrantType = Literal["authorization_code", "client_credentials"]
SupportedAuthenticationMethod = Literal["client_secret_basic", "client_secret_post", "private_key_jwt"]

# The bare strings that SMART App Launch 2.2 defines (checklist C-1..C-9); all others are full URIs (C-11).
_CAPABILITIES = frozenset(
    {
        "launch-ehr",
        "launch-standalone",
        "authorize-post",
        "client-public",
        "client-confidential-symmetric",
        "client-confidential-asymmetric",
        "sso-openid-connect",
        "context-banner",
        "context-style",
        "context-ehr-patient",
        "context-ehr-encounter",
        "context-standalone-patient",
        "context-standalone-encounter",
        "permission-offline",
        "permission-online",
        "permission-patient",
        "permission-user",
        "permission-v1",
        "permission-v2",
        "smart-app-state",
    }
)

_ASYMMETRIC = "client-confidential-asymmetric"


class AuthorizationServer(Section):
    """The description of the server that issues the tokens, for apps."""

    token_endpoint: Annotated[Url, Field(description="Where apps get tokens.")]
    authorization_endpoint: Annotated[
        Url | None, Field(description="Where apps send the user; needed for the launch capabilities.")
    ] = None
    issuer: Annotated[Url | None, Field(description="The OpenID issuer; needed for `sso-openid-connect`.")] = None
    jwks_uri: Annotated[Url | None, Field(description="The issuer's keys; needed for `sso-openid-connect`.")] = None
    introspection_endpoint: Annotated[Url | None, Field(description="Where tokens are introspected.")] = None
    revocation_endpoint: Annotated[Url | None, Field(description="Where apps revoke tokens.")] = None
    management_endpoint: Annotated[
        Url | None, Field(description="Where users see and revoke the access that they granted.")
    ] = None
    registration_endpoint: Annotated[Url | None, Field(description="Where apps register themselves.")] = None
    grant_types_supported: Annotated[
        tuple[SupportedGrantType, ...], Field(min_length=1, description="The grant types that apps may use.")
    ] = ("authorization_code",)
    response_types_supported: Annotated[
        tuple[Literal["code"], ...], Field(description="The response types of the authorization endpoint.")
    ] = ("code",)
    code_challenge_methods_supported: Annotated[
        tuple[Literal["S256"], ...], Field(min_length=1, description="The PKCE methods; SMART forbids `plain`.")
    ] = ("S256",)
    token_endpoint_auth_methods_supported: Annotated[
        tuple[SupportedAuthenticationMethod, ...], Field(description="How apps authenticate at the token endpoint.")
    ] = ()
    token_endpoint_auth_signing_alg_values_supported: Annotated[
        Words, Field(description="The algorithms of `private_key_jwt`.")
    ] = ()
    scopes_supported: Annotated[Words, Field(description="The scopes that apps may request; all must work.")] = ()
    capabilities: Annotated[Words, Field(description="The SMART capabilities; all must work.")] = ()

    def smart_configuration(self) -> dict[str, object]:
        """The members of the document, without those that are absent or empty."""
        return {name: value for name, value in self.model_dump(mode="json").items() if value or name == "capabilities"}

    # Capabilities need other members of the document (D-5..D-14).

    @conflict_rule
    def _unknown_capabilities(self) -> Iterator[Conflict]:
        for name in self.capabilities:
            if name not in _CAPABILITIES and not urlsplit(name).scheme:
                yield Conflict(("capabilities",), f"holds {name!r}, which is neither a capability of SMART nor a URI")

    @conflict_rule
    def _launch_capabilities(self) -> Iterator[Conflict]:
        if {"launch-ehr", "launch-standalone"}.intersection(self.capabilities) and self.authorization_endpoint is None:
            yield Conflict(
                ("authorization_endpoint",), "is required by the capabilities launch-ehr and launch-standalone"
            )

    @conflict_rule
    def _openid_capability(self) -> Iterator[Conflict]:
        if "sso-openid-connect" in self.capabilities:
            for name in ("issuer", "jwks_uri"):
                if getattr(self, name) is None:
                    yield Conflict((name,), "is required by the capability sso-openid-connect")
        elif self.issuer is not None:
            yield Conflict(("issuer",), "must be left out without the capability sso-openid-connect")

    @conflict_rule
    def _methods_of_asymmetric_clients(self) -> Iterator[Conflict]:
        methods = self.token_endpoint_auth_methods_supported
        if _ASYMMETRIC in self.capabilities and "private_key_jwt" not in methods:
            name = "token_endpoint_auth_methods_supported"
            yield Conflict((name,), f"must hold private_key_jwt, because of the capability {_ASYMMETRIC}")

    @conflict_rule
    def _algorithms_of_asymmetric_clients(self) -> Iterator[Conflict]:
        algorithms = self.token_endpoint_auth_signing_alg_values_supported
        if _ASYMMETRIC in self.capabilities and not {"RS384", "ES384"}.intersection(algorithms):
            name = "token_endpoint_auth_signing_alg_values_supported"
            yield Conflict((name,), f"must hold RS384 or ES384, because of the capability {_ASYMMETRIC}")

    @conflict_rule
    def _scopes_of_asymmetric_clients(self) -> Iterator[Conflict]:
        if _ASYMMETRIC in self.capabilities and not self.scopes_supported:
            yield Conflict(("scopes_supported",), f"must not be empty, because of the capability {_ASYMMETRIC}")
