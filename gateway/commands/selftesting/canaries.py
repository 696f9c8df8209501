"""The canary patients: two patients with marked records, made for a self-test and removed when it ends."""

import base64
import hashlib
import re
import secrets
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from gateway.commands.selftesting.attempts import Subjects
from gateway.commands.selftesting.check_results import CheckError, describe_failure
from gateway.commands.selftesting.web import Answer, Web

TAG_SYSTEM = "urn:smart-fhir-gateway:selftest"
"""The system of the tag that every record of a self-test has."""
LABORATORY, VITAL_SIGNS = "laboratory", "vital-signs"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"

_LOCATION = re.compile(r"(?:^|/)(?P<name>[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?$")
# The types of what a self-test makes and can search for.
_SEARCHED = ("Observation", "Condition", "Patient")


@dataclass(slots=True)
class FhirStore:
    """Where the canaries are kept: the FHIR server itself, or the gateway by a token for everything."""

    web: Web
    base: str
    headers: Callable[[], Mapping[str, str]]
    _asked: int = 0

    def request(self, method: str, target: str, body: object = None) -> Answer:
        """One request below the base."""
        media_type = {"content-type": "application/fhir+json"} if body is not None else {}
        headers = {"accept": "application/fhir+json", **media_type, **self.headers()}
        return self.web.request(method, f"{self.base}{target}", headers=headers, body=body)

    def find(self, resource_type: str, criteria: str) -> list[str]:
        """`Type/id` of each resource that a search finds. Raises `CheckError` if it fails."""
        # Some servers answer a search again from what they found a minute ago; with another size it is another search.
        self._asked += 1
        answer = self.request("GET", f"/{resource_type}?{criteria}&_count={100 + self._asked}")
        if answer.status != 200:
            raise CheckError(f"the search was answered with {answer.status}", sent=answer.sent)
        entries = answer.member("entry")
        resources = [entry.get("resource", {}) for entry in entries] if isinstance(entries, list) else []
        return sorted(
            f"{one['resourceType']}/{one['id']}" for one in resources if one.get("resourceType") == resource_type
        )


@dataclass(slots=True)
class Canaries:
    """The two patients. `mark_a` and `mark_b` occur in records of one of them alone."""

    store: FhirStore
    run: str
    mark_a: str = field(default_factory=lambda: f"CanaryA{secrets.token_hex(8)}")
    mark_b: str = field(default_factory=lambda: f"CanaryB{secrets.token_hex(8)}")
    created: list[str] = field(default_factory=list)

    def create(self, public_base: str) -> Subjects:
        """Make both. Raises `CheckError` if a record cannot be made."""
        a = self._add(self._patient(self.mark_a))
        b = self._add(self._patient(self.mark_b))
        own = self._add(self._observation(self.mark_a, a, LABORATORY))
        own_vital = self._add(self._observation(self.mark_a, a, VITAL_SIGNS))
        hidden = self._add(self._observation(self.mark_b, b, LABORATORY))
        self._add(self._observation(self.mark_b, b, VITAL_SIGNS))
        # A result of A's that B took, so that an include leads from one record to the other.
        self._add(self._observation(self.mark_a, a, VITAL_SIGNS, performer=[{"reference": f"Patient/{b}"}]))
        for mark, patient in ((self.mark_a, a), (self.mark_b, b)):
            self._add({**self._resource("Condition", mark), "code": {"text": mark}, "subject": _reference(patient)})
        hidden_binary = self._add(
            {
                "resourceType": "Binary",
                "meta": self._tag(),
                "contentType": "text/plain",
                "securityContext": _reference(b),
                "data": base64.b64encode(self.mark_b.encode()).decode(),
            }
        )
        absent = f"absent-{secrets.token_hex(8)}"
        return Subjects(public_base, a, b, own, own_vital, hidden, hidden_binary, absent)

    def state(self, subjects: Subjects) -> dict[str, str]:
        """What is stored about both: a digest of each record, by `Type/id`. Raises `CheckError` if it is not read."""
        names = {*self.created, *self._find_about(subjects.a), *self._find_about(subjects.b)}
        found = {}
        for name in sorted(names):
            answer = self.store.request("GET", f"/{name}")
            if answer.status not in {200, 404, 410}:
                raise CheckError(f"what is stored cannot be read: {answer.status}", sent=answer.sent)
            found[name] = hashlib.sha256(answer.content).hexdigest() if answer.status == 200 else "absent"
        return found

    def observation_of_a(self, subjects: Subjects) -> dict[str, Any]:
        """Another Observation of A, for an app to write."""
        return self._observation(self.mark_a, subjects.a, LABORATORY)

    def note(self, answer: Answer) -> None:
        """Note what an answer says was created, in a Location or in the entries of a Bundle, so that it is removed."""
        entries = answer.member("entry")
        responses = [entry.get("response") for entry in entries if isinstance(entry, dict)] if entries else []
        statuses: list[tuple[object, object]] = [(answer.status, answer.headers.get("location"))]
        statuses += [(one.get("status"), one.get("location")) for one in responses if isinstance(one, dict)]
        for status, location in statuses:
            found = _LOCATION.search(str(location or ""))
            if str(status).startswith("201") and found is not None and found["name"] not in self.created:
                self.created.append(found["name"])

    def remove(self, subjects: Subjects | None) -> list[str]:
        """Remove all records of both patients. A sentence for each that is still there, or may be."""
        names, left = dict.fromkeys(self.created), []
        try:
            for resource_type in _SEARCHED:
                criteria = f"_tag={urllib.parse.quote(f'{TAG_SYSTEM}|{self.run}')}"
                names |= dict.fromkeys(self.store.find(resource_type, criteria))
            if subjects is not None:
                for patient in (subjects.a, subjects.b):
                    names |= dict.fromkeys(self._find_about(patient))
        except (CheckError, httpx2.HTTPError) as error:
            why = error.found if isinstance(error, CheckError) else describe_failure(error)
            left.append(f"records with the tag {TAG_SYSTEM}|{self.run}, if there are others: {why}")
        # What others refer to comes last.
        for name in sorted(names, key=lambda name: name.startswith("Patient/")):
            left += self._delete(name)
        return left

    def _delete(self, name: str) -> list[str]:
        try:
            answer = self.store.request("DELETE", f"/{name}")
        except httpx2.HTTPError as error:
            return [f"{name}: {describe_failure(error)}"]
        if answer.status in {200, 202, 204, 404, 410}:
            return []
        return [f"{name}: its deletion was answered with {answer.status}"]

    def _find_about(self, patient: str) -> list[str]:
        return [name for kind in _SEARCHED[:2] for name in self.store.find(kind, f"subject=Patient/{patient}")]

    def _add(self, resource: dict[str, Any]) -> str:
        """Create a record; its id."""
        kind = resource["resourceType"]
        answer = self.store.request("POST", f"/{kind}", resource)
        found = _LOCATION.search(answer.headers.get("location", ""))
        if answer.status != 201 or found is None:
            raise CheckError(f"a {kind} for the test was not created: {answer.status}", sent=answer.sent)
        self.created.append(found["name"])
        return found["name"].partition("/")[2]

    def _patient(self, mark: str) -> dict[str, Any]:
        name = [{"family": mark, "given": ["Selftest"], "text": f"Selftest {mark}"}]
        return {**self._resource("Patient", mark), "name": name, "birthDate": "1900-01-01"}

    def _observation(self, mark: str, patient: str, category: str, **elements: object) -> dict[str, Any]:
        return {
            **self._resource("Observation", mark),
            "status": "final",
            "category": [{"coding": [{"system": CATEGORY, "code": category}]}],
            "code": {"text": mark},
            "subject": _reference(patient),
            "note": [{"text": mark}],
            **elements,
        }

    def _tag(self) -> dict[str, Any]:
        return {"tag": [{"system": TAG_SYSTEM, "code": self.run}]}

    def _resource(self, kind: str, mark: str) -> dict[str, Any]:
        """What every record has: the tag of this run, and the mark as an identifier."""
        return {
            "resourceType": kind,
            "meta": self._tag(),
            "identifier": [{"system": TAG_SYSTEM, "value": mark}],
        }


def _reference(patient: str) -> dict[str, str]:
    return {"reference": f"Patient/{patient}"}
