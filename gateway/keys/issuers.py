"""What is known of an authorization server whose access tokens are accepted here."""

from dataclasses import dataclass

# RFC 9068 names at+jwt; most servers still say JWT, and Keycloak says so for every kind of token.
ACCEPTED_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})


@dataclass(frozen=True, slots=True)
class Introspection:
    """Where opaque tokens are asked about (RFC 7662), and as whom."""

    endpoint: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One issuer. Exactly one of `jwks_url`, `jwks_file` and `introspection` is set.

    `algorithms` never holds `none` or an HMAC: settings refuse them. `clock_skew` is in seconds.
    """

    issuer: str
    audiences: frozenset[str]
    algorithms: tuple[str, ...] = ("RS256", "RS384", "ES256", "ES384")
    clock_skew: float = 30.0
    accepted_types: frozenset[str] = ACCEPTED_TYPES
    jwks_url: str | None = None
    jwks_file: str | None = None
    introspection: Introspection | None = None
