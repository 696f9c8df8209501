"""What a valid access token says, as one value that every decision starts from."""

from dataclasses import dataclass

from gateway.fhir.reference import Reference
from gateway.policy.reasons import Reason
from gateway.scopes.model import Scope


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks, for whom, and with which scopes.

    `patient` is a bare id. Where the token has no usable patient, it is None and `patient_problem` says why, so that
    a refusal can name the reason (enforcement.md 8). `user` is the fhirUser, already found to lie under one of our
    bases. `expires_at` is in seconds since the epoch. `authorization_id`
    names the grant behind a token of our own, so that its end can be carried out everywhere.
    """

    issuer: str
    client_id: str
    subject: str | None
    scopes: tuple[Scope, ...]
    expires_at: float
    patient: str | None = None
    patient_problem: Reason | None = None
    user: Reference | None = None
    scope_text: str = ""
    authorization_id: str | None = None
