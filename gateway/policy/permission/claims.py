"""The claims of a verified access token, read into an `Access` (enforcement.md 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.fhir.reference import ID_PATTERN, Reference, parse_reference
from gateway.policy.permission.access import Access
from gateway.policy.reasons import Reason
from gateway.scopes.model import Scope
from gateway.scopes.parse_scopes import ScopeError, parse_granted_scopes

# The resource types that a fhirUser can have (checklist ID-3).
USER_TYPES = frozenset({"Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person"})

# In seconds since the epoch. A larger number is in milliseconds or has no meaning.
_MAX_EXPIRES_AT = 1e11
# Characters.
_MAX_TOKEN_ID = 200


class ClaimsError(Exception):
    """The access token cannot be used because of one claim, whose name is `claim`."""

    def __init__(self, claim: str, problem: str) -> None:
        super().__init__(f"{claim}: {problem}")
        self.claim = claim
        self.problem = problem


@dataclass(frozen=True, slots=True)
class ClaimMapping:
    """The names of the claims of an issuer. The first name that is present counts. A dot leads into an object.

    With `patient_from_fhir_user`, a user who is a Patient is the patient of a token without a patient claim. With
    `decode_scope_slash`, `%2F` in a scope is read as a slash.
    """

    scope: tuple[str, ...] = ("scope", "scp")
    patient: tuple[str, ...] = ("patient",)
    fhir_user: tuple[str, ...] = ("fhirUser",)
    client_id: tuple[str, ...] = ("client_id", "azp", "appid", "cid")
    roles: tuple[str, ...] = ("roles", "realm_access.roles")
    purpose_of_use: tuple[str, ...] = ("purpose_of_use", "extensions.ihe_iua.purpose_of_use")
    patient_from_fhir_user: bool = False
    decode_scope_slash: bool = False


def access_from_claims(claims: Mapping[str, Any], mapping: ClaimMapping, bases: Sequence[str]) -> Access:
    """Read the claims. `bases` are the two base URLs under which an absolute fhirUser may lie.

    Raises `ClaimsError` if a claim that every token needs is missing or invalid.
    """
    issuer, expires_at, client_id = claims.get("iss"), claims.get("exp"), _first_claim(claims, mapping.client_id)
    if not isinstance(issuer, str):
        raise ClaimsError("iss", "is missing")
    if isinstance(expires_at, bool) or not isinstance(expires_at, int | float) or not 0 <= expires_at < _MAX_EXPIRES_AT:
        raise ClaimsError("exp", "is missing or not a time in seconds")
    if not isinstance(client_id, str) or not client_id:
        raise ClaimsError(mapping.client_id[0], "is missing")
    subject = claims.get("sub")
    user = _parse_fhir_user(_first_claim(claims, mapping.fhir_user), bases)
    patient, patient_problem = _parse_patient(_first_claim(claims, mapping.patient), user, mapping)
    scope_text = _scope_text(_first_claim(claims, mapping.scope))
    return Access(
        issuer=issuer,
        client_id=client_id,
        subject=subject if isinstance(subject, str) else None,
        scopes=_parse_valid_scopes(scope_text, decode_slash=mapping.decode_scope_slash),
        expires_at=float(expires_at),
        patient=patient,
        patient_problem=patient_problem,
        user=user,
        scope_text=scope_text,
        roles=read_codes(claims, mapping.roles),
        purposes_of_use=read_codes(claims, mapping.purpose_of_use),
        token_id=_read_token_id(claims.get("jti")),
        certificate_thumbprint=_read_certificate_binding(claims.get("cnf")),
        names_one_client=all(_first_claim(claims, (name,)) in (None, client_id) for name in mapping.client_id),
    )


def _read_token_id(value: Any) -> str | None:
    """The id of the token (RFC 7519 4.1.7), unless it is longer than any that identifies something needs to be."""
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_TOKEN_ID else None


def _read_certificate_binding(value: Any) -> str | None:
    """The certificate that the token is bound to (RFC 8705 3.1). Raises `ClaimsError`.

    A token that is bound to another key, as by RFC 9449, is no bearer token, and its possession is not proven here.
    """
    if value is None:
        return None
    thumbprint = value.get("x5t#S256") if isinstance(value, Mapping) and len(value) == 1 else None
    if not isinstance(thumbprint, str):
        raise ClaimsError("cnf", "binds the token to something that cannot be verified here")
    return thumbprint


def _first_claim(claims: Mapping[str, Any], names: Sequence[str]) -> Any:
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
    """The scopes as one string. A list is joined, because some issuers send one."""
    if isinstance(value, list):
        return " ".join(scope for scope in value if isinstance(scope, str))
    return value if isinstance(value, str) else ""


def read_codes(claims: Mapping[str, Any], names: Sequence[str]) -> frozenset[str]:
    """The texts of a claim, and its codings as `system|code` (IHE IUA 3.71.4.2.2.1.1). Anything else says nothing."""
    codes, value = set(), _first_claim(claims, names)
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str):
            codes.add(item)
        elif isinstance(item, Mapping) and isinstance(item.get("system"), str) and isinstance(item.get("code"), str):
            codes.add(f"{item['system']}|{item['code']}")
    return frozenset(codes)


def _parse_valid_scopes(text: str, *, decode_slash: bool) -> tuple[Scope, ...]:
    """The valid scopes. An invalid scope grants nothing; a string that is too long grants nothing at all."""
    try:
        return parse_granted_scopes(text, decode_slash=decode_slash)
    except ScopeError:
        return ()


def _parse_fhir_user(value: Any, bases: Sequence[str]) -> Reference | None:
    user = parse_reference(value, bases) if isinstance(value, str) else None
    if user is None or user.version_id is not None or user.resource_type not in USER_TYPES:
        return None
    return user


def _parse_patient(value: Any, user: Reference | None, mapping: ClaimMapping) -> tuple[str | None, Reason | None]:
    """The id of the patient, or the problem. `Patient/id` is accepted; any other form is an invalid context."""
    if value is None:
        if mapping.patient_from_fhir_user and user is not None and user.resource_type == "Patient":
            return user.id, None
        return None, Reason.PATIENT_CONTEXT_MISSING
    patient_id = value.removeprefix("Patient/") if isinstance(value, str) else ""
    if not ID_PATTERN.fullmatch(patient_id) or patient_id in {".", ".."}:
        return None, Reason.PATIENT_CONTEXT_INVALID
    return patient_id, None
