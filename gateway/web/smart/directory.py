"""Patients and visits as a signed-in user may see them, for the pickers: by search parameters every server has.

No compartment search (HAPI has none), no chained parameter: `name`, `_id` and `patient` alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.fhir.reference import ID, parse_reference
from gateway.oauth.authorization import User
from gateway.policy.access import Access
from gateway.policy.reasons import Reason
from gateway.scopes.model import Context, Letter, ResourceScope
from gateway.web.answer import Refused
from gateway.web.inquiry import Inquirer

SHOWN = 20
_READING = frozenset({Letter.READ, Letter.SEARCH})
_FOREVER = 1e11
# What a picker or a check that a launcher cannot be told of is answered by "not there".
_ABSENT = frozenset(
    {
        Reason.NOT_FOUND,
        Reason.OUT_OF_REACH,
        Reason.UPSTREAM_REJECTED,
        Reason.USER_REACH_UNKNOWN,
        Reason.SCOPE_INSUFFICIENT,
    }
)


@dataclass(frozen=True, slots=True)
class Found:
    """A record to choose: its id, what people call it, and what tells it from others."""

    resource_id: str
    name: str
    detail: str


class Directory:
    """Looks records up as a user; as the gateway itself where a launcher must be checked."""

    def __init__(self, inquirer: Inquirer) -> None:
        self._inquirer = inquirer

    async def patients(self, user: User, name: str) -> tuple[list[Found], bool]:
        """Patients of that name, and whether there are more. Raises `Refused` where the server does not answer."""
        pairs = [("_count", str(SHOWN))]
        if name:
            pairs.insert(
                0, ("name", name.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$"))
            )
        bundle = await self._get(_as_user(user, "Patient"), "/Patient", pairs)
        more = any(link.get("relation") == "next" for link in bundle.get("link") or () if isinstance(link, dict))
        return [_patient(one) for one in _matches(bundle, "Patient")][:SHOWN], more

    async def patient(self, user: User | None, patient_id: str) -> Found | None:
        """The patient, if the user may see it; None for a user asks as the gateway itself."""
        if ID.fullmatch(patient_id) is None:
            return None
        resource = await self._get(_as_user(user, "Patient"), f"/Patient/{patient_id}")
        return _patient(resource) if resource.get("id") == patient_id else None

    async def encounters(self, user: User, patient_id: str) -> list[Found]:
        """The patient's visits, as the user may see them."""
        pairs = [("patient", f"Patient/{patient_id}"), ("_count", str(SHOWN))]
        bundle = await self._get(_as_user(user, "Encounter"), "/Encounter", pairs)
        return [_encounter(one) for one in _matches(bundle, "Encounter") if _subject(one) == patient_id]

    async def patient_of_encounter(self, user: User | None, encounter_id: str) -> str | None:
        """Whose visit it is, if the user may see it (edge case 43)."""
        if ID.fullmatch(encounter_id) is None:
            return None
        resource = await self._get(_as_user(user, "Encounter"), f"/Encounter/{encounter_id}")
        return _subject(resource) if resource.get("id") == encounter_id else None

    async def _get(self, access: Access, path: str, pairs: list[tuple[str, str]] | None = None) -> Mapping[str, Any]:
        try:
            return await self._inquirer.get(access, path, pairs or ())
        except Refused as refused:
            if refused.deny.reason in _ABSENT:
                return {}
            raise


def _as_user(user: User | None, resource_type: str) -> Access:
    context = Context.SYSTEM if user is None else Context.USER
    own = parse_reference(user.fhir_user) if user is not None and user.fhir_user is not None else None
    return Access(
        issuer="",
        client_id="smart-server",
        subject=None if user is None else user.subject,
        scopes=(ResourceScope(context, resource_type, _READING),),
        expires_at=_FOREVER,
        user=own,
    )


def _matches(bundle: Mapping[str, Any], resource_type: str) -> Iterator[Mapping[str, Any]]:
    for entry in bundle.get("entry") or ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and resource.get("resourceType") == resource_type:
            yield resource


def _patient(resource: Mapping[str, Any]) -> Found:
    names = [one for one in resource.get("name") or () if isinstance(one, dict)]
    official = next((one for one in names if one.get("use") in {"official", "usual"}), names[0] if names else {})
    given = " ".join(str(one) for one in official.get("given") or ())
    name = str(official.get("text") or f"{given} {official.get('family') or ''}".strip() or "No name recorded")
    number = next((one.get("value") for one in resource.get("identifier") or () if isinstance(one, dict)), None)
    parts = (
        f"born {resource['birthDate']}" if resource.get("birthDate") else "",
        str(resource.get("gender") or ""),
        f"no. {number}" if number else "",
    )
    return Found(str(resource.get("id")), name, ", ".join(filter(None, parts)))


def _encounter(resource: Mapping[str, Any]) -> Found:
    kinds = [one.get("text") or _display(one) for one in resource.get("type") or () if isinstance(one, dict)]
    kind = next(filter(None, kinds), None) or _display({"coding": [resource.get("class") or {}]}) or "Visit"
    period = resource.get("period")
    start, end = (str((period if isinstance(period, dict) else {}).get(name) or "")[:16] for name in ("start", "end"))
    when = f"{start} to {end}" if start and end else f"since {start}" if start else ""
    parts = (when.replace("T", " "), str(resource.get("status") or ""))
    return Found(str(resource.get("id")), str(kind), ", ".join(filter(None, parts)))


def _display(concept: Mapping[str, Any]) -> str | None:
    codings = [one for one in concept.get("coding") or () if isinstance(one, dict)]
    return next(
        (str(one.get("display") or one.get("code")) for one in codings if one.get("display") or one.get("code")), None
    )


def _subject(resource: Mapping[str, Any]) -> str | None:
    subject = resource.get("subject")
    text = subject.get("reference") if isinstance(subject, dict) else None
    if not isinstance(text, str):
        return None
    # The answer went through the judge, so that an absolute reference is one of ours.
    parsed = parse_reference("/".join(text.split("/")[-2:]))
    return parsed.id if parsed is not None and parsed.resource_type == "Patient" else None
