"""Builds what checks access tokens of other issuers, from the settings of an issuer."""

from gateway.credentials.issuer_keys import FetchDocument, IssuerKeys
from gateway.credentials.trusted_issuer import TrustedIssuer
from gateway.settings.authorization.issuers import Issuer


def build_trusted_issuer(issuer: Issuer) -> TrustedIssuer:
    """The issuer as token verification sees it."""
    return TrustedIssuer(
        issuer=issuer.issuer,
        audiences=frozenset(issuer.audiences),
        algorithms=tuple(issuer.algorithms),
        clock_skew=issuer.clock_skew_seconds,
        accepted_types=frozenset(name.lower() for name in issuer.accepted_types),
        jwks_url=issuer.jwks_url,
        jwks_file=str(issuer.jwks_file) if issuer.jwks_file is not None else None,
        introspection=issuer.introspection,
    )


def build_issuer_keys(issuer: TrustedIssuer, fetch: FetchDocument) -> IssuerKeys | None:
    """The source of the issuer's keys; None where its tokens are introspected."""
    if issuer.introspection is not None:
        return None
    return IssuerKeys(url=issuer.jwks_url, file=issuer.jwks_file, fetch=fetch)
