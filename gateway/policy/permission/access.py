"""The content of a valid access token, from which every decision starts."""

from dataclasses import dataclass

from gateway.fhir.reference import Reference
from gateway.policy.reasons import Reason
from gateway.scopes.model import Scope


@dataclass(frozen=True, slots=True)
class Access:
    """The client, the patient, the user and the scopes of an access token.

    `patient` is an id without its type. If the token has no usable patient, it is None and `patient_problem` is the
    reason for the refusal (enforcement.md 8). `user` is the fhirUser, which is relative or lies under one of the two
    bases. `expires_at` is in seconds since the epoch. `authorization_id` identifies the authorization behind a token
    issued here, so that a revocation takes effect everywhere. `roles` and `purposes_of_use` are what claims say of the
    user; a coded purpose is `system|code`. `token_id` is the `jti` of a token of another issuer, for the audit alone.
    `certificate_thumbprint` is `x5t#S256` of the certificate without which the token is worth nothing (RFC 8705 3).
    `names_one_client` says that all claims which may name the client name the same.
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
    roles: frozenset[str] = frozenset()
    purposes_of_use: frozenset[str] = frozenset()
    token_id: str | None = None
    certificate_thumbprint: str | None = None
    names_one_client: bool = True
