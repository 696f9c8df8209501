"""Settings of the issuers whose access tokens are accepted, and of the cache of verified tokens."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, FilePath

from gateway.policy.permission.claims import ClaimMapping
from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.setting_types import Count, CountOrZero, Flag, Seconds, SecondsOrZero, Secret, Text, Url, Word

# Asymmetric algorithms only: with `none` or a shared key, whoever reads the configuration could forge tokens
# (RFC 8725 3.1).
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]

Names = Annotated[tuple[Text, ...], Field(min_length=1)]


class Introspection(Section):
    """Introspection of tokens at their issuer (RFC 7662)."""

    endpoint: Annotated[Url, Field(description="The introspection endpoint.")]
    client_id: Annotated[Text, Field(description="The gateway's client id there.")]
    client_secret: Annotated[Secret, Field(description="The gateway's client secret there.")]


class Claims(Section):
    """The names of claims in access tokens. Of several names, the first that is present counts."""

    scope: Annotated[Names, Field(description="The granted scopes, as one string or a list.")] = ("scope", "scp")
    patient: Annotated[Names, Field(description="The patient in context.")] = ("patient",)
    fhir_user: Annotated[Names, Field(description="The FHIR resource of the user.")] = ("fhirUser",)
    client_id: Annotated[Names, Field(description="The client.")] = ("client_id", "azp", "appid")
    roles: Annotated[
        Names, Field(description="The roles of the user, for record_rules. A dot leads into an object.")
    ] = ("roles", "realm_access.roles")
    purpose_of_use: Annotated[
        Names, Field(description="The purposes of use, for record_rules, as IHE IUA has them.")
    ] = (
        "purpose_of_use",
        "extensions.ihe_iua.purpose_of_use",
    )


class Issuer(Section):
    """One authorization server whose access tokens are accepted."""

    issuer: Annotated[Word, Field(description="The `iss` of its tokens, compared character by character.")]
    audiences: Annotated[Names, Field(description="A token must name one of these in `aud`.")]
    algorithms: Annotated[
        tuple[Algorithm, ...], Field(min_length=1, description="The signature algorithms that are accepted.")
    ] = ("RS256", "RS384", "ES256", "ES384")
    jwks_url: Annotated[
        Url | None,
        Field(description="Where its keys are published. Give this, jwks_file or introspection: exactly one."),
    ] = None
    jwks_file: Annotated[FilePath | None, Field(description="A file with its keys, as a JWK Set.")] = None
    introspection: Annotated[
        Introspection | None, Field(description="Introspect each token at the issuer instead of checking a signature.")
    ] = None
    clock_skew_seconds: Annotated[
        SecondsOrZero, Field(le=300, description="How far its clock may differ from the gateway's, at most 300.")
    ] = 30.0
    claims: Annotated[Claims, Field(description="The names of the claims.")] = Claims()
    accepted_types: Annotated[
        Names,
        Field(description="The `typ` of its access tokens, in any case; a token without one counts as `JWT`."),
    ] = ("at+jwt", "application/at+jwt", "JWT")
    patient_from_fhir_user: Annotated[
        Flag, Field(description="Whether a user who is a Patient is the patient in context when the token names none.")
    ] = False
    decode_scope_slash: Annotated[
        Flag, Field(description="Whether `%2f` in a scope means a slash, as Microsoft Entra ID writes it.")
    ] = False

    def claim_mapping(self) -> ClaimMapping:
        """The names of this issuer's claims, as decisions read them."""
        return ClaimMapping(
            scope=self.claims.scope,
            patient=self.claims.patient,
            fhir_user=self.claims.fhir_user,
            client_id=self.claims.client_id,
            roles=self.claims.roles,
            purpose_of_use=self.claims.purpose_of_use,
            patient_from_fhir_user=self.patient_from_fhir_user,
            decode_scope_slash=self.decode_scope_slash,
        )

    @conflict_rule
    def _ways_to_check(self) -> Iterator[Conflict]:
        """There must be exactly one way to check a token."""
        given = [name for name in ("jwks_url", "jwks_file", "introspection") if getattr(self, name) is not None]
        if not given:
            yield Conflict((), "needs one of jwks_url, jwks_file and introspection")
        for name in given[1:]:
            yield Conflict((name,), f"is one too many beside {given[0]}")


class TokenCache(Section):
    """How long a verified token is cached. A revoked token is refused after that time at the latest."""

    entries: Annotated[Count, Field(description="How many accepted tokens are cached.")] = 10_000
    max_age_seconds: Annotated[
        Seconds, Field(description="How long an accepted token is cached, at most; never beyond its expiry.")
    ] = 300.0
    refusals: Annotated[CountOrZero, Field(description="How many refused tokens are cached.")] = 2_000
