"""An authorization server whose access tokens are accepted."""

from dataclasses import dataclass

from gateway.settings.authorization.issuers import Introspection

# RFC 9068 defines at+jwt. Most servers still use JWT, and Keycloak uses it for every kind of token.
ACCEPTED_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})

# `none` and the HMAC algorithms are excluded: anybody who knows the public key or the configuration could forge tokens
# (RFC 8725 sections 2.1 and 3.1).
SIGNATURE_ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"},
)


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One issuer, in the form that the checks need; `gateway.credentials.build` makes it from the settings.

    Exactly one of `jwks_url`, `jwks_file` and `introspection` is set. `clock_skew` is in seconds. `accepted_types`
    holds JOSE `typ` values in lower case; a token without a `typ` counts as `jwt`. Raises `ValueError` if the values
    contradict each other or an algorithm is not one of `SIGNATURE_ALGORITHMS`.
    """

    issuer: str
    audiences: frozenset[str]
    algorithms: tuple[str, ...] = ("RS256", "RS384", "ES256", "ES384")
    clock_skew: float = 30.0
    accepted_types: frozenset[str] = ACCEPTED_TYPES
    jwks_url: str | None = None
    jwks_file: str | None = None
    introspection: Introspection | None = None

    def __post_init__(self) -> None:
        if sum(source is not None for source in (self.jwks_url, self.jwks_file, self.introspection)) != 1:
            raise ValueError(f"{self.issuer}: needs exactly one of jwks_url, jwks_file and introspection")
        if not self.audiences:
            raise ValueError(f"{self.issuer}: needs an audience, or tokens for any server would be accepted")
        for algorithm in self.algorithms:
            if algorithm not in SIGNATURE_ALGORITHMS:
                raise ValueError(f"{self.issuer}: {algorithm!r} is not a public-key signature algorithm")
        for kind in self.accepted_types:
            if kind != kind.lower():
                raise ValueError(f"{self.issuer}: the type {kind!r} must be in lower case")
