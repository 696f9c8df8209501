"""A registered client and its rights (checklist R-1..R-12, authorization.md "Clients")."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from gateway.fhir.app_state.state_codes import StateCodes
from gateway.scopes.model import Scope

# The prefix of a digest of a random secret. A password can be guessed and has an argon2 hash instead.
DIGEST_PREFIX = "sha256:"


class AuthenticationMethod(StrEnum):
    """How a client authenticates at the token endpoint. A client has exactly one method (R-11)."""

    NONE = "none"
    CLIENT_SECRET_BASIC = "client_secret_basic"
    PRIVATE_KEY_JWT = "private_key_jwt"
    TLS_CLIENT_AUTH = "tls_client_auth"
    SELF_SIGNED_TLS_CLIENT_AUTH = "self_signed_tls_client_auth"


BY_CERTIFICATE = frozenset({AuthenticationMethod.TLS_CLIENT_AUTH, AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH})
"""The methods of RFC 8705 2. Tokens of these clients are bound to the certificate (RFC 8705 3)."""


class GrantType(StrEnum):
    """The grant types of SMART App Launch. Clients of the code grant with `may_refresh` have the refresh grant too."""

    AUTHORIZATION_CODE = "authorization_code"
    CLIENT_CREDENTIALS = "client_credentials"
    REFRESH_TOKEN = "refresh_token"


def digest_secret(secret: str) -> str:
    """The digest of a random secret. It needs no slow hash."""
    return DIGEST_PREFIX + hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CertificateName:
    """The one name by which a certificate of an authority is that of a client (RFC 8705 2.1.2)."""

    kind: Literal["subject_dn", "san_dns", "san_uri"]
    value: str


@dataclass(frozen=True, slots=True)
class Client:
    """An app.

    `launch_uris` are compared character by character (E-1), `redirect_uris` as `is_registered` says (A-4). `scopes` is
    the most it may be granted; None means whatever its user may grant. One of `jwks` and `jwks_uri` is set for
    `private_key_jwt`, `secret_hash` (argon2) for `client_secret_basic`, `certificate_name` for `tls_client_auth`, and
    `certificate_thumbprints` (`x5t#S256`) for `self_signed_tls_client_auth`. `origins` are the browser origins it may
    call from (CO-2). `policy` and `terms` are URLs of its pages for users.
    `state_codes` are the codes of app state that an operator gave it; None leaves it to `trusted_state_codes`.
    `userinfo_in_token_response` adds `userinfo` to token responses, as Aidbox does. `access_lifetime` is in seconds;
    None means the server's own. `self_registered`: the app registered itself. `registered_at` is in
    seconds since the epoch, and 0 for a client of the configuration: earlier grants to the same client_id were
    grants to another app.
    """

    client_id: str
    name: str
    authentication: AuthenticationMethod
    grant_types: frozenset[GrantType] = frozenset({GrantType.AUTHORIZATION_CODE})
    redirect_uris: tuple[str, ...] = ()
    launch_uris: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] | None = None
    secret_hash: str | None = None
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str | None = None
    certificate_name: CertificateName | None = None
    certificate_thumbprints: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    purpose: str = ""
    logo: str = ""
    policy: str = ""
    terms: str = ""
    may_refresh: bool = True
    may_introspect: bool = False
    require_pkce: bool = True
    require_state: bool = True
    strict_scopes: bool = False
    skip_consent: bool = False
    state_codes: tuple[StateCodes, ...] | None = None
    userinfo_in_token_response: bool = False
    access_token_lifetime: int | None = None
    disabled: bool = False
    self_registered: bool = False
    registered_at: float = 0.0

    @property
    def is_confidential(self) -> bool:
        """Whether the client has a secret or key, and must authenticate (T-4)."""
        return self.authentication is not AuthenticationMethod.NONE

    @property
    def trusted_state_codes(self) -> tuple[StateCodes, ...]:
        """The codes of app state that it may use: those given to it, or those of its own origin (AS-14).

        The origin is the one https origin of all its redirect URIs, where tokens of no other app arrive. Nobody has
        verified that of an app that registered itself.
        """
        if self.state_codes is not None:
            return self.state_codes
        if self.self_registered or not self.redirect_uris:
            return ()
        origins = {find_web_origin(uri) for uri in self.redirect_uris}
        origin = origins.pop() if len(origins) == 1 else None
        return (StateCodes(origin),) if origin is not None and origin.startswith("https://") else ()

    @property
    def is_unproven(self) -> bool:
        """Whether neither a secret nor PKCE proves that who redeems a code is the app that requested it."""
        return not self.is_confidential and not self.require_pkce


def find_web_origin(uri: str) -> str | None:
    """The web origin of a redirect URI; None if it is no web page."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}" if scheme in {"https", "http"} else None
