"""From the claims of a token that is already believed to what it permits (enforcement.md 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.fhir.reference import ID, Reference, parse_reference
from gateway.policy.access import Access
from gateway.policy.reasons import Reason
from gateway.scopes.model import Scope
from gateway.scopes.parse import ScopeError, parse_scopes

# The types a user can be (checklist ID-3).
USER_TYPES = frozenset({"Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person"})

# Seconds since the epoch; a larger number counts milliseconds, or nothing.
_LAST_MOMENT = 1e11


class ClaimsError(Exception):
    """The token as a whole cannot be used. `claim` names what is wrong."""

    def __init__(self, claim: str, why: str) -> None:
        super().__init__(f"{claim}: {why}")
        self.claim = claim
        self.why = why


@dataclass(frozen=True, slots=True)
class ClaimMapping:
    """Under which names an issuer says what; the first that is there counts. A dot leads into an object."""

    scope: tuple[str, ...] = ("scope", "scp")
    patient: tuple[str, ...] = ("patient",)
    fhir_user: tuple[str, ...] = ("fhirUser",)
    client_id: tuple[str, ...] = ("client_id", "azp", "appid", "cid")
    patient_from_fhir_user: bool = False
    decode_scope_slash: bool = False


def access_from_claims(claims: Mapping[str, Any], mapping: ClaimMapping, bases: Sequence[str]) -> Access:
    """What the token permits. `bases` are the two base URLs below which an absolute fhirUser may lie.

    Raises `ClaimsError` where a claim that every token needs is missing.
    """
    issuer, expires_at, client_id = claims.get("iss"), claims.get("exp"), _first(claims, mapping.client_id)
    if not isinstance(issuer, str):
        raise ClaimsError("iss", "is missing")
    if isinstance(expires_at, bool) or not isinstance(expires_at, int | float) or not 0 <= expires_at < _LAST_MOMENT:
        raise ClaimsError("exp", "is missing or no time in seconds")
    if not isinstance(client_id, str) or not client_id:
        raise ClaimsError(mapping.client_id[0], "is missing")
    subject = claims.get("sub")
    user = _user(_first(claims, mapping.fhir_user), bases)
    patient, problem = _patient(_first(claims, mapping.patient), user, mapping)
    text = _scope_text(_first(claims, mapping.scope))
    return Access(
        issuer=issuer,
        client_id=client_id,
        subject=subject if isinstance(subject, str) else None,
        scopes=_scopes(text, decode_slash=mapping.decode_scope_slash),
        expires_at=float(expires_at),
        patient=patient,
        patient_problem=problem,
        user=user,
        scope_text=text,
    )


def _first(claims: Mapping[str, Any], names: Sequence[str]) -> Any:
    for name in names:
        value = claims.get(name)
        if value is None and "." in name:
            value = claims
            for part in name.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            return value
    return None


def _scope_text(value: Any) -> str:
    """The scopes as one string; a list is joined, since some issuers write one."""
    if isinstance(value, list):
        return " ".join(one for one in value if isinstance(one, str))
    return value if isinstance(value, str) else ""


def _scopes(text: str, *, decode_slash: bool) -> tuple[Scope, ...]:
    """The scopes that are valid; one that is not grants nothing, and a string too long grants nothing at all."""
    try:
        return parse_scopes(text, decode_slash=decode_slash).scopes
    except ScopeError:
        return ()


def _user(value: Any, bases: Sequence[str]) -> Reference | None:
    user = parse_reference(value, bases) if isinstance(value, str) else None
    if user is None or user.version_id is not None or user.resource_type not in USER_TYPES:
        return None
    return user


def _patient(value: Any, user: Reference | None, mapping: ClaimMapping) -> tuple[str | None, Reason | None]:
    """Exactly one id; `Patient/id` is read as the id, anything else is no patient context."""
    if value is None:
        if mapping.patient_from_fhir_user and user is not None and user.resource_type == "Patient":
            return user.id, None
        return None, Reason.PATIENT_CONTEXT_MISSING
    plain = value.removeprefix("Patient/") if isinstance(value, str) else ""
    if not ID.fullmatch(plain) or plain in {".", ".."}:
        return None, Reason.PATIENT_CONTEXT_INVALID
    return plain, None
