"""Access tokens signed with a key that exists only while the benchmark runs."""

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
WRITE_SCOPE = "patient/*.cruds"
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


def make_scopes(count: int) -> str:
    """Two identity scopes, and for each type one scope to read and search, one to create and one to update.

    So `count` is 2 more than a multiple of 3. Observation is always among the types, which are sorted.
    """
    types = _TYPES.split()
    first = types.index("Observation")
    selected = sorted((types[first:] + types[:first])[: (count - 2) // 3])
    return " ".join(
        ["openid", "fhirUser", *(f"patient/{name}.{kind}" for name in selected for kind in ("rs", "c", "u"))]
    )


class Issuer:
    """An authorization server reduced to its key: it signs tokens and has a JWK Set."""

    def __init__(self) -> None:
        self._key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "bench"})

    @property
    def jwks(self) -> str:
        """The public key set as JSON text."""
        return json.dumps(KeySet([self._key]).as_dict(private=False))

    def token(self, scope: str = SCOPE, number: int = 0, patient: str = PATIENT) -> str:
        """A token for one patient; `number` makes otherwise equal tokens distinct."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "user-1",
            "azp": "bench-app",
            "client_id": "bench-app",
            "scope": scope,
            "patient": patient,
            "iat": now - 10,
            "exp": now + _LIFETIME,
            "jti": f"token-{number}",
        }
        return jwt.encode({"alg": "RS256", "kid": "bench", "typ": "at+jwt"}, claims, self._key)

    def write_tokens(self, path: Path, count: int) -> Path:
        """Write `count` distinct tokens, one per line, for wrk to rotate through."""
        path.write_text("\n".join(self.token(number=at) for at in range(count)) + "\n")
        return path
