"""Settings of the authorization server as `.well-known/smart-configuration` announces it (checklist D-5..D-20)."""

from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from gateway.settings.section import Conflict, Section
from gateway.settings.values import Url, Word

Words = tuple[Word, ...]
GrantType = Literal["authorization_code", "client_credentials"]
AuthenticationMethod = Literal["client_secret_basic", "client_secret_post", "private_key_jwt"]

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


class AuthorizationServer(Section):
    """What apps are told about the server that issues their tokens."""

    token_endpoint: Annotated[Url, Field(description="Where apps fetch tokens.")]
    authorization_endpoint: Annotated[
        Url | None, Field(description="Where apps send the user; needed for the launch capabilities.")
    ] = None
    issuer: Annotated[Url | None, Field(description="The OpenID issuer; needed for `sso-openid-connect`.")] = None
    jwks_uri: Annotated[Url | None, Field(description="The issuer's keys; needed for `sso-openid-connect`.")] = None
    introspection_endpoint: Annotated[Url | None, Field(description="Where a token may be asked about.")] = None
    revocation_endpoint: Annotated[Url | None, Field(description="Where an app gives a token up.")] = None
    management_endpoint: Annotated[Url | None, Field(description="Where users see and end what they granted.")] = None
    registration_endpoint: Annotated[Url | None, Field(description="Where apps register themselves.")] = None
    grant_types_supported: Annotated[
        tuple[GrantType, ...], Field(min_length=1, description="The grants that apps may use.")
    ] = ("authorization_code",)
    response_types_supported: Annotated[
        tuple[Literal["code"], ...], Field(description="The answers of the authorization endpoint.")
    ] = ("code",)
    code_challenge_methods_supported: Annotated[
        tuple[Literal["S256"], ...], Field(min_length=1, description="The PKCE methods; SMART forbids `plain`.")
    ] = ("S256",)
    token_endpoint_auth_methods_supported: Annotated[
        tuple[AuthenticationMethod, ...], Field(description="How apps prove themselves at the token endpoint.")
    ] = ()
    token_endpoint_auth_signing_alg_values_supported: Annotated[
        Words, Field(description="The algorithms of `private_key_jwt`.")
    ] = ()
    scopes_supported: Annotated[Words, Field(description="The scopes that apps may ask for; all must work.")] = ()
    capabilities: Annotated[Words, Field(description="The SMART capabilities; all must work.")] = ()

    def smart_configuration(self) -> dict[str, object]:
        """The members of the document, those that are absent or empty left out."""
        return {name: value for name, value in self.model_dump(mode="json").items() if value or name == "capabilities"}

    def conflicts(self) -> Iterator[Conflict]:
        """Capabilities that promise what the other members do not hold (D-5..D-14)."""
        for name in self.capabilities:
            if name not in _CAPABILITIES and not urlsplit(name).scheme:
                yield Conflict(("capabilities",), f"holds {name!r}, which is neither a capability of SMART nor a URI")
        held = frozenset(self.capabilities)
        if held & {"launch-ehr", "launch-standalone"} and self.authorization_endpoint is None:
            yield Conflict(
                ("authorization_endpoint",), "is required by the capabilities launch-ehr and launch-standalone"
            )
        if "sso-openid-connect" in held:
            for name in ("issuer", "jwks_uri"):
                if getattr(self, name) is None:
                    yield Conflict((name,), "is required by the capability sso-openid-connect")
        elif self.issuer is not None:
            yield Conflict(("issuer",), "must be left out without the capability sso-openid-connect")
        if "client-confidential-asymmetric" in held:
            yield from self._asymmetric()

    def _asymmetric(self) -> Iterator[Conflict]:
        because = "because of the capability client-confidential-asymmetric"
        if "private_key_jwt" not in self.token_endpoint_auth_methods_supported:
            yield Conflict(("token_endpoint_auth_methods_supported",), f"must hold private_key_jwt, {because}")
        if not {"RS384", "ES384"} & set(self.token_endpoint_auth_signing_alg_values_supported):
            name = "token_endpoint_auth_signing_alg_values_supported"
            yield Conflict((name,), f"must hold RS384 or ES384, {because}")
        if not self.scopes_supported:
            yield Conflict(("scopes_supported",), f"must not be empty, {because}")
