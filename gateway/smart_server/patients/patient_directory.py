"""Finds the patients and encounters that a user may see, for the pickers and for launch contexts.

Uses what every FHIR server supports: reads, and plain search parameters. HAPI has no compartment search. What people
type to find a patient is read in `patient_query`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.reference import ID_PATTERN, parse_reference
from gateway.languages.language import gettext_noop
from gateway.oauth.authorization import User
from gateway.policy.permission.access import Access
from gateway.policy.reasons import Reason
from gateway.scopes.model import Context, Letter, ResourceScope
from gateway.smart_server.page_language import format_date, gettext
from gateway.smart_server.patients.patient_query import patient_queries
from gateway.smart_server.patients.rejected_search import is_rejected

PICKER_SIZE = 20
_READ_AND_SEARCH = frozenset({Letter.READ, Letter.SEARCH})
_FOREVER = 1e11
# The embeddings, overrides and isolates of the Unicode Bidirectional Algorithm (UAX 9, 2).
_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")
# The codes that pages show (AdministrativeGender, EncounterStatus), in words.
_GENDERS = {
    "female": gettext_noop("female"),
    "male": gettext_noop("male"),
    "other": gettext_noop("other"),
    "unknown": gettext_noop("unknown"),
}
_STATUSES = {
    "arrived": gettext_noop("arrived"),
    "cancelled": gettext_noop("cancelled"),
    "finished": gettext_noop("finished"),
    "in-progress": gettext_noop("in-progress"),
    "onleave": gettext_noop("onleave"),
    "planned": gettext_noop("planned"),
    "triaged": gettext_noop("triaged"),
}
# Refusals that mean "not found" for a picker or a launch: the user may not see the record.
_ABSENT_REASONS = frozenset(
    {
        Reason.NOT_FOUND,
        Reason.OUT_OF_REACH,
        Reason.RECORD_WITHHELD,
        Reason.USER_REACH_UNKNOWN,
        Reason.SCOPE_INSUFFICIENT,
    }
)


@dataclass(frozen=True, slots=True)
class PickerEntry:
    """A record in a picker. `detail` distinguishes it from others of the same name."""

    resource_id: str
    name: str
    detail: str


class FhirReader(Protocol):
    """Reads from the FHIR server with the rights of an `Access`, under the rules of the proxy."""

    async def get(self, access: Access, path: str, pairs: Sequence[tuple[str, str]] = ()) -> Mapping[str, Any]:
        """The JSON of the response to a GET. Raises `RequestRefused`."""


class PatientDirectory:
    """Finds records with the rights of a user, or of the gateway itself if no user is given."""

    def __init__(self, fhir: FhirReader) -> None:
        self._fhir = fhir

    async def search_patients(self, user: User, name: str) -> tuple[list[PickerEntry], bool]:
        """Patients who fit what was typed, and whether there are more.

        A server may reject one way to search, such as `:contains`. Raises `RequestRefused` if it rejects all.
        """
        rejection: RequestRefused | None = None
        is_answered = False
        for pairs in patient_queries(name):
            try:
                bundle = await self._search(_access_for(user, "Patient"), "/Patient", pairs)
            except RequestRefused as refused:
                if not is_rejected(refused):
                    raise
                rejection = refused
                continue
            is_answered = True
            found = [_patient_entry(patient) for patient in _resources_of_type(bundle, "Patient")]
            if found:
                links = (link for link in bundle.get("link") or () if isinstance(link, dict))
                has_more = len(found) > PICKER_SIZE or any(link.get("relation") == "next" for link in links)
                return found[:PICKER_SIZE], has_more
        if rejection is not None and not is_answered:
            raise rejection
        return [], False

    async def find_patient(self, user: User | None, patient_id: str) -> PickerEntry | None:
        """The patient, if the user may see it."""
        if ID_PATTERN.fullmatch(patient_id) is None:
            return None
        resource = await self._get(_access_for(user, "Patient"), f"/Patient/{patient_id}")
        return _patient_entry(resource) if resource.get("id") == patient_id else None

    async def list_encounters(self, user: User, patient_id: str) -> list[PickerEntry]:
        """The encounters of the patient that the user may see. Raises `RequestRefused`."""
        pairs = [("patient", f"Patient/{patient_id}")]
        bundle = await self._search(_access_for(user, "Encounter"), "/Encounter", pairs)
        return [
            _encounter_entry(encounter)
            for encounter in _resources_of_type(bundle, "Encounter")
            if _subject_patient_id(encounter) == patient_id
        ]

    async def find_patient_of_encounter(self, user: User | None, encounter_id: str) -> str | None:
        """The id of the encounter's patient, if the user may see the encounter (edge case 43)."""
        if ID_PATTERN.fullmatch(encounter_id) is None:
            return None
        resource = await self._get(_access_for(user, "Encounter"), f"/Encounter/{encounter_id}")
        return _subject_patient_id(resource) if resource.get("id") == encounter_id else None

    async def _get(self, access: Access, path: str) -> Mapping[str, Any]:
        """The resource; empty if the user may not see it."""
        try:
            return await self._fhir.get(access, path)
        except RequestRefused as refused:
            if refused.deny.reason in _ABSENT_REASONS or refused.deny.reason is Reason.UPSTREAM_REJECTED:
                return {}
            raise

    async def _search(self, access: Access, path: str, pairs: list[tuple[str, str]]) -> Mapping[str, Any]:
        """The first page of the search; empty if the user may see nothing of that type."""
        try:
            return await self._fhir.get(access, path, [*pairs, ("_count", str(PICKER_SIZE))])
        except RequestRefused as refused:
            if refused.deny.reason in _ABSENT_REASONS:
                return {}
            raise


def _access_for(user: User | None, resource_type: str) -> Access:
    context = Context.SYSTEM if user is None else Context.USER
    fhir_user = parse_reference(user.fhir_user) if user is not None and user.fhir_user is not None else None
    return Access(
        issuer="",
        client_id="smart-server",
        subject=None if user is None else user.subject,
        scopes=(ResourceScope(context, resource_type, _READ_AND_SEARCH),),
        expires_at=_FOREVER,
        user=fhir_user,
        roles=frozenset() if user is None else frozenset(user.roles),
    )


def _resources_of_type(bundle: Mapping[str, Any], resource_type: str) -> Iterator[Mapping[str, Any]]:
    for entry in bundle.get("entry") or ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and resource.get("resourceType") == resource_type:
            yield resource


def _patient_entry(resource: Mapping[str, Any]) -> PickerEntry:
    number = next((item.get("value") for item in resource.get("identifier") or () if isinstance(item, dict)), None)
    is_deceased = resource.get("deceasedBoolean") is True or bool(resource.get("deceasedDateTime"))
    parts = (
        gettext("Deceased") if is_deceased else "",
        gettext("Record not in use") if resource.get("active") is False else "",
        gettext("born %(date)s", date=format_date(str(resource["birthDate"]))) if resource.get("birthDate") else "",
        _translate(_GENDERS, str(resource.get("gender") or "")),
        gettext("no. %(number)s", number=number) if number else "",
    )
    detail = _without_overrides(", ".join(filter(None, parts)))
    return PickerEntry(str(resource.get("id")), _without_overrides(_patient_name(resource)), detail)


def _translate(words: Mapping[str, str], code: str) -> str:
    """The words for the code, or the code itself if it has none."""
    word = words.get(code)
    return code if word is None else gettext(word)


def _without_overrides(text: str) -> str:
    """The text without characters that turn its letters around, so that no name reads as another one."""
    return _OVERRIDES.sub("", text)


def _patient_name(resource: Mapping[str, Any]) -> str:
    names = [name for name in resource.get("name") or () if isinstance(name, dict)]
    usual_names = (name for name in names if name.get("use") in {"official", "usual"})
    name = next(usual_names, names[0] if names else {})
    given = " ".join(str(part) for part in name.get("given") or ())
    return str(name.get("text") or f"{given} {name.get('family') or ''}".strip() or gettext("No name recorded"))


def _encounter_entry(resource: Mapping[str, Any]) -> PickerEntry:
    types = [item.get("text") or _concept_text(item) for item in resource.get("type") or () if isinstance(item, dict)]
    name = (
        next(filter(None, types), None) or _concept_text({"coding": [resource.get("class") or {}]}) or gettext("Visit")
    )
    period = resource.get("period")
    start, end = (str((period if isinstance(period, dict) else {}).get(key) or "")[:16] for key in ("start", "end"))
    start, end = (format_date(moment[:10]) + moment[10:].replace("T", " ") for moment in (start, end))
    since = gettext("since %(start)s", start=start) if start else ""
    when = gettext("%(start)s to %(end)s", start=start, end=end) if start and end else since
    parts = (when, _translate(_STATUSES, str(resource.get("status") or "")))
    return PickerEntry(str(resource.get("id")), str(name or gettext("Visit")), ", ".join(filter(None, parts)))


def _concept_text(concept: Mapping[str, Any]) -> str | None:
    codings = [coding for coding in concept.get("coding") or () if isinstance(coding, dict)]
    texts = (coding.get("display") or coding.get("code") for coding in codings)
    return next((str(text) for text in texts if text), None)


def _subject_patient_id(resource: Mapping[str, Any]) -> str | None:
    subject = resource.get("subject")
    text = subject.get("reference") if isinstance(subject, dict) else None
    if not isinstance(text, str):
        return None
    # The proxy has checked the response: an absolute reference is below our base.
    parsed = parse_reference("/".join(text.split("/")[-2:]))
    return parsed.id if parsed is not None and parsed.resource_type == "Patient" else None
