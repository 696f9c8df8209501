"""A registered client: what an operator allows one app to do (checklist R-1..R-12, authorization.md "Clients")."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.scopes.model import Scope

# What a digest begins with; a password, which may be guessed, has an argon2 hash instead.
DIGEST = "sha256:"


class AuthenticationMethod(StrEnum):
    """How a client proves itself at the token endpoint: exactly one, with no other to fall back on (R-11)."""

    NONE = "none"
    CLIENT_SECRET_BASIC = "client_secret_basic"
    PRIVATE_KEY_JWT = "private_key_jwt"


class GrantType(StrEnum):
    """The grants of SMART App Launch; refresh comes with the code grant where `may_refresh` says so."""

    AUTHORIZATION_CODE = "authorization_code"
    CLIENT_CREDENTIALS = "client_credentials"
    REFRESH_TOKEN = "refresh_token"


def digest_of(secret: str) -> str:
    """What is kept of a random secret, in the place of a slow hash."""
    return DIGEST + hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Client:
    """One app.

    `redirect_uris` and `launch_uris` are compared character by character (A-4, E-1). `scopes` is the most it may be
    granted; None means whatever its user may grant. One of `jwks` and `jwks_uri` is set for `private_key_jwt`, and
    `secret_hash` (argon2) for `client_secret_basic`. `origins` are the browser origins it may call from (CO-2).
    `userinfo_in_token_response` tells who signed in beside the tokens, as Aidbox can. `access_lifetime` is in seconds;
    None means the server's own. `self_registered`: nobody of the organisation has looked at it. `registered_at` is in
    seconds since the epoch, and 0 for a client of the configuration: what was granted under its name before was not
    granted to it.
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
    origins: frozenset[str] = frozenset()
    purpose: str = ""
    logo: str = ""
    may_refresh: bool = True
    may_introspect: bool = False
    require_pkce: bool = True
    require_state: bool = True
    strict_scopes: bool = False
    skip_consent: bool = False
    userinfo_in_token_response: bool = False
    access_lifetime: int | None = None
    disabled: bool = False
    self_registered: bool = False
    registered_at: float = 0.0

    @property
    def confidential(self) -> bool:
        """Whether it can keep a secret, so that it must prove itself (T-4)."""
        return self.authentication is not AuthenticationMethod.NONE
