"""Access tokens signed with a key that is made when the benchmark starts and lives only as long as it runs."""

from __future__ import annotations

import json
import time
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from bench.bodies import PATIENT

ISSUER = "https://issuer.invalid/realms/bench"
AUDIENCE = "https://gateway.invalid/fhir"
SCOPE = "patient/*.rs"
SYSTEM_SCOPE = "system/*.rs"
_LIFETIME = 4 * 3600

_TYPES = (
    "Account AdverseEvent AllergyIntolerance Appointment AppointmentResponse AuditEvent Basic BodyStructure "
    "CarePlan CareTeam ChargeItem Claim ClaimResponse ClinicalImpression Communication CommunicationRequest "
    "Composition Condition Consent Coverage CoverageEligibilityRequest CoverageEligibilityResponse DetectedIssue "
    "DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest DocumentReference Encounter "
    "EnrollmentRequest EpisodeOfCare ExplanationOfBenefit FamilyMemberHistory Flag Goal Group ImagingStudy "
    "Immunization ImmunizationEvaluation ImmunizationRecommendation Invoice List MeasureReport Media "
    "MedicationAdministration MedicationDispense MedicationRequest MedicationStatement MolecularSequence "
    "NutritionOrder Observation Patient Person Procedure Provenance QuestionnaireResponse RelatedPerson "
    "RequestGroup ResearchSubject RiskAssessment Schedule ServiceRequest Specimen SupplyDelivery SupplyRequest "
    "VisionPrescription "
)


def scopes(count: int) -> str:
    """Two scopes about identity, and read and search, create, and update of each type in scopes of their own.

    So `count` is 2 more than a multiple of 3. Observation is always among the types, in its place of the alphabet.
    """
    types = _TYPES.split()
    here = types.index("Observation")
    chosen = sorted((types[here:] + types[:here])[: (count - 2) // 3])
    return " ".join(["openid", "fhirUser", *(f"patient/{name}.{kind}" for name in chosen for kind in ("rs", "c", "u"))])


class Issuer:
    """An authorization server reduced to its key: it signs tokens and publishes its JWKS as a file."""

    def __init__(self) -> None:
        self._key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "bench"})

    @property
    def jwks(self) -> str:
        """The public key set as JSON text."""
        return json.dumps(KeySet([self._key]).as_dict(private=False))

    def token(self, scope: str = SCOPE, number: int = 0) -> str:
        """A token for patient a; `number` makes otherwise equal tokens distinct."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "user-1",
            "azp": "bench-app",
            "client_id": "bench-app",
            "scope": scope,
            "patient": PATIENT,
            "iat": now - 10,
            "exp": now + _LIFETIME,
            "jti": f"token-{number}",
        }
        return jwt.encode({"alg": "RS256", "kid": "bench", "typ": "at+jwt"}, claims, self._key)

    def write_tokens(self, path: Path, count: int) -> Path:
        """That many distinct tokens, one a line, for wrk to rotate through."""
        path.write_text("\n".join(self.token(number=at) for at in range(count)) + "\n")
        return path
