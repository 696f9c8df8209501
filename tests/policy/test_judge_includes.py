"""Which includes of a page stay: those that a kept match leads to, by references as FHIR writes them, no other text."""

from typing import Any

import orjson
import pytest

from gateway.fhir.bundle import read_bundle
from gateway.policy.decision import Allow, KeepMatches
from gateway.policy.judge_bundle import judge_bundle
from gateway.policy.judge_includes import EVERY_TYPE, drop_unaccounted
from tests.policy.grants import PUBLIC, UPSTREAM, asked, grant

Resource = dict[str, Any]
A = {"reference": "Patient/A"}
M1: Resource = {"resourceType": "Medication", "id": "m1"}
Q1: Resource = {"resourceType": "Questionnaire", "id": "q1", "url": "http://forms.example/phq-9"}


def order(**members: Any) -> Resource:
    """A MedicationRequest of A's."""
    return {"resourceType": "MedicationRequest", "id": "r1", "subject": A, **members}


def kept(match: Resource | str, *includes: Resource, pointing: tuple[str, ...] = ()) -> list[str]:
    """The ids that are left of a page of one match, a text as it stands, and of includes that A's app could read."""
    decision = asked("GET /MedicationRequest", grant("patient/*.rs"))
    assert isinstance(decision, Allow)
    assert isinstance(decision.keep, KeepMatches)
    entries = [b'{"resource":%s}' % (match.encode() if isinstance(match, str) else orjson.dumps(match))]
    entries += [orjson.dumps({"resource": one, "search": {"mode": "include"}}) for one in includes]
    body = b'{"resourceType":"Bundle","type":"searchset","entry":[%s]}' % b",".join(entries)
    verdict = judge_bundle(read_bundle(body), decision.keep)
    assert verdict.includes == bool(includes)
    drop_unaccounted(verdict, decision.keep.grant.rules.bases, pointing)
    assert verdict.missed == {}
    left = [entry.resource for entry in verdict.kept if entry is not None and entry.resource is not None]
    assert len(left) + sum(verdict.dropped.values()) == 1 + len(includes)
    return [orjson.loads(bytes(one["id"])) for one in left]


REFERRED: dict[str, Resource | str] = {
    "a relative reference": order(medicationReference={"reference": "Medication/m1"}),
    "a reference to a version": order(medicationReference={"reference": "Medication/m1/_history/2"}),
    "an absolute reference to the server": order(medicationReference={"reference": f"{UPSTREAM}/Medication/m1"}),
    "an absolute reference to us": order(medicationReference={"reference": f"{PUBLIC}/Medication/m1/_history/2"}),
    "a reference deep inside": order(extension=[{"valueReference": {"reference": "Medication/m1"}}]),
    "a reference of what it contains": order(
        contained=[{"resourceType": "Basic", "x": {"reference": "Medication/m1"}}]
    ),
    "a reference with escaped slashes and white space": (
        '{"resourceType":"MedicationRequest","id":"r1","subject":{"reference":"Patient\\/A"},'
        '"medicationReference":{"display":"x", "reference" : "Medication\\/m1"}}'
    ),
}


@pytest.mark.parametrize("match", REFERRED.values(), ids=REFERRED)
def test_what_is_included_stays_for(match: Resource | str) -> None:
    assert kept(match, M1) == ["r1", "m1"]


UNREFERRED: dict[str, Resource] = {
    "nothing": order(),
    "a reference to one with a longer id": order(medicationReference={"reference": "Medication/m10"}),
    "a reference to one with a longer type": order(basedOn=[{"reference": "XMedication/m1"}]),
    "a reference into another server": order(medicationReference={"reference": "https://evil.example/Medication/m1"}),
    "a reference to what it contains": order(medicationReference={"reference": "#m1"}),
    "its name as a text": order(note=[{"text": "Medication/m1"}]),
    "its name within a text": order(note=[{"text": 'see "reference":"Medication/m1"'}]),
    "its name in the narrative": order(text={"div": "<div/>", "reference": "Medication/m1"}),
    "its name as an identifier": order(medicationReference={"identifier": {"value": "Medication/m1"}}),
    "a reference under another word": order(medicationReference={"x-reference": "Medication/m1"}),
}


@pytest.mark.parametrize("match", UNREFERRED.values(), ids=UNREFERRED)
def test_what_is_included_goes_for(match: Resource) -> None:
    assert kept(match, M1) == ["r1"]


CANONICAL = {
    "its url": ({"instantiatesCanonical": ["http://forms.example/phq-9"]}, True),
    "its url and a version": ({"instantiatesCanonical": ["http://forms.example/phq-9|1.0"]}, True),
    "its address": ({"instantiatesCanonical": ["Questionnaire/q1"]}, True),
    "a longer url": ({"instantiatesCanonical": ["http://forms.example/phq-90"]}, False),
    "a shorter url": ({"instantiatesCanonical": ["http://forms.example/phq"]}, False),
    "its url within a text": ({"note": [{"text": 'like "http://forms.example/phq-9"'}]}, False),
    "nothing": ({}, False),
}


@pytest.mark.parametrize(("members", "stays"), CANONICAL.values(), ids=CANONICAL)
def test_a_canonical_is_a_reference_by(members: Resource, stays: bool) -> None:
    assert kept(order(**members), Q1) == (["r1", "q1"] if stays else ["r1"])


def test_a_word_of_a_record_is_no_canonical() -> None:
    assert kept(order(status="active"), {**Q1, "url": "active"}) == ["r1"]


def test_what_stays_leads_on() -> None:
    role = {"resourceType": "PractitionerRole", "id": "role", "organization": {"reference": "Organization/o"}}
    ward = {"resourceType": "Organization", "id": "o", "partOf": {"reference": "Organization/house"}}
    house = {"resourceType": "Organization", "id": "house"}
    match = order(requester={"reference": "PractitionerRole/role"})
    assert kept(match, house, ward, role, M1) == ["r1", "house", "o", "role"]
    assert kept(order(), house, ward, role) == ["r1"]


def test_what_refers_to_each_other_alone_goes() -> None:
    one = {"resourceType": "Organization", "id": "one", "partOf": {"reference": "Organization/other"}}
    other = {"resourceType": "Organization", "id": "other", "partOf": {"reference": "Organization/one"}}
    assert kept(order(), one, other, pointing=(EVERY_TYPE,)) == ["r1"]


@pytest.mark.parametrize(
    ("pointing", "stays"), [((), False), (("Basic",), False), (("Provenance",), True), ((EVERY_TYPE,), True)], ids=str
)
def test_what_refers_to_a_match_stays_where_a_revinclude_asks_for_its_type(
    pointing: tuple[str, ...], stays: bool
) -> None:
    note = {"resourceType": "Provenance", "id": "p", "target": [{"reference": f"{UPSTREAM}/MedicationRequest/r1"}, A]}
    assert kept(order(), note, pointing=pointing) == (["r1", "p"] if stays else ["r1"])


def test_what_refers_to_a_match_leads_on() -> None:
    dispense: Resource = {"resourceType": "MedicationDispense", "id": "d", "subject": A}
    dispense["authorizingPrescription"] = [{"reference": "MedicationRequest/r1"}]
    dispense["medicationReference"] = {"reference": "Medication/m1"}
    assert kept(order(), M1, dispense, pointing=("MedicationDispense",)) == ["r1", "m1", "d"]


def test_the_records_of_the_patient_are_no_exception() -> None:
    """An Encounter, or the Patient, that comes along tells of a record that names it as much as a Practitioner does."""
    encounter = {"resourceType": "Encounter", "id": "e", "subject": A}
    patient = {"resourceType": "Patient", "id": "A"}
    assert kept(order(), encounter, patient) == ["r1", "A"]
    assert kept(order(encounter={"reference": "Encounter/e"}), encounter, patient) == ["r1", "e", "A"]


def test_the_same_include_twice_stays_twice() -> None:
    assert kept(order(medicationReference={"reference": "Medication/m1"}), M1, M1) == ["r1", "m1", "m1"]
