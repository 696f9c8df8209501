"""Which includes of a page stay: those to which a kept match leads by the elements that the request asked for."""

from typing import Any

import orjson
import pytest

from gateway.fhir.request.interaction import TypeSearch
from gateway.fhir.resources.bundle import read_bundle
from gateway.policy.decision_types import Allow, SearchFilter
from gateway.policy.judgement.judge_bundle_entries import judge_bundle
from gateway.policy.judgement.judge_includes import drop_unexplained_includes
from tests.policy.grants import PUBLIC, UPSTREAM, decide_request, make_grant, parse_interaction

Resource = dict[str, Any]
A = {"reference": "Patient/A"}
M1: Resource = {"resourceType": "Medication", "id": "m1"}
Q1: Resource = {"resourceType": "Questionnaire", "id": "q1", "url": "http://forms.example/phq-9"}


def medication_request(**members: Any) -> Resource:
    """A MedicationRequest for patient A."""
    return {"resourceType": "MedicationRequest", "id": "r1", "subject": A, **members}


EVERYTHING = "_include=*&_include:iterate=*"
MEDICATION = "_include=MedicationRequest:medication"


def judge_page(match: Resource | str, *includes: Resource, asked: str = EVERYTHING) -> list[str]:
    """The ids that stay of a page with one match, given as a resource or as JSON text, and with these includes.

    `asked` is the query of the request.
    """
    searched_type = "MedicationRequest" if isinstance(match, str) else match["resourceType"]
    request = f"GET /{searched_type}?{asked}"
    decision, interaction = decide_request(request, make_grant("patient/*.rs")), parse_interaction(request)
    assert isinstance(decision, Allow)
    assert isinstance(decision.response_filter, SearchFilter)
    assert isinstance(interaction, TypeSearch)
    entries = [b'{"resource":%s}' % (match.encode() if isinstance(match, str) else orjson.dumps(match))]
    entries += [orjson.dumps({"resource": resource, "search": {"mode": "include"}}) for resource in includes]
    body = b'{"resourceType":"Bundle","type":"searchset","entry":[%s]}' % b",".join(entries)
    verdict = judge_bundle(read_bundle(body), decision.response_filter)
    assert verdict.has_includes == bool(includes)
    bases = decision.response_filter.grant.rules.bases
    drop_unexplained_includes(verdict, bases, interaction.query.includes)
    assert verdict.missed_by_narrowing == {}
    kept = [entry.resource for entry in verdict.kept_entries if entry is not None and entry.resource is not None]
    assert len(kept) + sum(verdict.dropped_by_type.values()) == 1 + len(includes)
    return [orjson.loads(bytes(resource["id"])) for resource in kept]


REFERRED: dict[str, Resource | str] = {
    "a relative reference": medication_request(medicationReference={"reference": "Medication/m1"}),
    "a reference to a version": medication_request(medicationReference={"reference": "Medication/m1/_history/2"}),
    "an absolute reference to the server": medication_request(
        medicationReference={"reference": f"{UPSTREAM}/Medication/m1"}
    ),
    "an absolute reference to us": medication_request(
        medicationReference={"reference": f"{PUBLIC}/Medication/m1/_history/2"}
    ),
    "a reference with escaped slashes and white space": (
        '{"resourceType":"MedicationRequest","id":"r1","subject":{"reference":"Patient\\/A"},'
        '"medicationReference":{"display":"x", "reference" : "Medication\\/m1"}}'
    ),
}


@pytest.mark.parametrize("match", REFERRED.values(), ids=REFERRED)
def test_what_is_included_stays_for(match: Resource | str) -> None:
    assert judge_page(match, M1) == judge_page(match, M1, asked=MEDICATION) == ["r1", "m1"]


UNREFERRED: dict[str, Resource | str] = {
    "nothing": medication_request(),
    "a reference to one with a longer id": medication_request(medicationReference={"reference": "Medication/m10"}),
    "a reference to one with a longer type": medication_request(basedOn=[{"reference": "XMedication/m1"}]),
    "a reference into another server": medication_request(
        medicationReference={"reference": "https://evil.example/Medication/m1"}
    ),
    "a reference to what it contains": medication_request(medicationReference={"reference": "#m1"}),
    "its name as a text": medication_request(note=[{"text": "Medication/m1"}]),
    "its name within a text": medication_request(note=[{"text": 'see "reference":"Medication/m1"'}]),
    "its name in the narrative": medication_request(text={"div": "<div/>", "reference": "Medication/m1"}),
    "its name as an identifier": medication_request(medicationReference={"identifier": {"value": "Medication/m1"}}),
    "a reference in an element that no parameter searches": medication_request(
        extension=[{"valueReference": {"reference": "Medication/m1"}}]
    ),
    "a reference of what it contains": medication_request(
        contained=[{"resourceType": "MedicationRequest", "medicationReference": {"reference": "Medication/m1"}}]
    ),
    "a reference that is there twice": (
        '{"resourceType":"MedicationRequest","id":"r1","subject":{"reference":"Patient/A"},'
        '"medicationReference":{"reference":"Medication/m1","reference":"Medication/m2"}}'
    ),
    "a reference under another word": medication_request(medicationReference={"x-reference": "Medication/m1"}),
}


@pytest.mark.parametrize("match", UNREFERRED.values(), ids=UNREFERRED)
def test_what_is_included_goes_for(match: Resource | str) -> None:
    assert judge_page(match, M1) == judge_page(match, M1, asked=MEDICATION) == ["r1"]


WARD: Resource = {"resourceType": "Organization", "id": "o", "partOf": {"reference": "Organization/house"}}
HOUSE: Resource = {"resourceType": "Organization", "id": "house"}
ROLE: Resource = {"resourceType": "PractitionerRole", "id": "role", "organization": {"reference": "Organization/o"}}
FULL = medication_request(
    medicationReference={"reference": "Medication/m1"}, requester={"reference": "PractitionerRole/role"}
)
ASKED = {
    "nothing": ("_count=5", []),
    "one element": (MEDICATION, ["m1"]),
    "one element and a type that it has": (f"{MEDICATION}:Medication", ["m1"]),
    "an element that refers to another": ("_include=MedicationRequest:requester", ["role"]),
    "an element and another type": ("_include=MedicationRequest:requester:Practitioner", []),
    "an alias that is limited to another type": ("_include=MedicationRequest:patient", []),
    "all elements of the type": ("_include=MedicationRequest:*", ["role", "m1"]),
    "all elements": ("_include=*", ["role", "m1"]),
    "elements of another type": ("_include=MedicationDispense:medication", []),
    "a step without the first one": ("_include:iterate=PractitionerRole:organization", []),
    "two steps, of which the second does not iterate": (
        "_include=MedicationRequest:requester&_include=PractitionerRole:organization",
        ["role"],
    ),
    "two steps": (
        "_include=MedicationRequest:requester&_include:iterate=PractitionerRole:organization",
        ["o", "role"],
    ),
    "steps that repeat": (
        "_include:iterate=MedicationRequest:requester&_include:iterate=PractitionerRole:organization"
        "&_include:iterate=Organization:partof",
        ["house", "o", "role"],
    ),
    "the same elements the other way round": ("_revinclude=MedicationRequest:medication", []),
}


@pytest.mark.parametrize(("asked", "stay"), ASKED.values(), ids=ASKED)
def test_of_all_that_is_referred_to_that_stays_which_was_asked_for_by(asked: str, stay: list[str]) -> None:
    assert judge_page(FULL, HOUSE, WARD, ROLE, M1, asked=asked) == ["r1", *stay]


def form_response(**members: Any) -> Resource:
    """A QuestionnaireResponse of patient A."""
    return {"resourceType": "QuestionnaireResponse", "id": "r1", "subject": A, **members}


CANONICAL = {
    "its url": ({"questionnaire": "http://forms.example/phq-9"}, True),
    "its url and a version": ({"questionnaire": "http://forms.example/phq-9|1.0"}, True),
    "its address": ({"questionnaire": "Questionnaire/q1"}, True),
    "its absolute address": ({"questionnaire": f"{UPSTREAM}/Questionnaire/q1|2"}, True),
    "a longer url": ({"questionnaire": "http://forms.example/phq-90"}, False),
    "a shorter url": ({"questionnaire": "http://forms.example/phq"}, False),
    "its url in another element": ({"identifier": {"system": "http://forms.example/phq-9"}}, False),
    "nothing": ({}, False),
}


@pytest.mark.parametrize(("members", "stays"), CANONICAL.values(), ids=CANONICAL)
def test_a_canonical_is_a_reference_by(members: Resource, stays: bool) -> None:
    for asked in (EVERYTHING, "_include=QuestionnaireResponse:questionnaire"):
        assert judge_page(form_response(**members), Q1, asked=asked) == (["r1", "q1"] if stays else ["r1"])


def test_a_word_of_a_record_is_no_canonical() -> None:
    assert judge_page(form_response(questionnaire="active"), {**Q1, "url": "active"}) == ["r1"]


def test_nothing_leads_on_that_does_not_stay() -> None:
    assert judge_page(medication_request(), HOUSE, WARD, ROLE) == ["r1"]


def test_what_refers_to_each_other_alone_goes() -> None:
    resource = {"resourceType": "Organization", "id": "one", "partOf": {"reference": "Organization/other"}}
    other = {"resourceType": "Organization", "id": "other", "partOf": {"reference": "Organization/one"}}
    assert judge_page(medication_request(), resource, other, asked="_revinclude=*&_revinclude:iterate=*") == ["r1"]


REVERSE = {
    "nothing": ("_count=5", False),
    "another type": ("_revinclude=MedicationDispense:prescription", False),
    "another element": ("_revinclude=Provenance:agent", False),
    "another type of what it refers to": ("_revinclude=Provenance:target:Patient", False),
    "an alias that is limited to another type": ("_revinclude=Provenance:patient", False),
    "its element": ("_revinclude=Provenance:target", True),
    "its element and the type": ("_revinclude=Provenance:target:MedicationRequest", True),
    "everything of its type": ("_revinclude=Provenance:*", True),
    "everything": ("_revinclude=*", True),
}


@pytest.mark.parametrize(("asked", "stays"), REVERSE.values(), ids=REVERSE)
def test_what_refers_to_a_match_stays_where_a_revinclude_asks_for(asked: str, stays: bool) -> None:
    note = {"resourceType": "Provenance", "id": "p", "target": [{"reference": f"{UPSTREAM}/MedicationRequest/r1"}, A]}
    assert judge_page(medication_request(), note, asked=asked) == (["r1", "p"] if stays else ["r1"])


@pytest.mark.parametrize("iterates", [True, False])
def test_what_refers_to_a_match_leads_on_where_the_request_iterates(iterates: bool) -> None:
    dispense: Resource = {"resourceType": "MedicationDispense", "id": "d", "subject": A}
    dispense["authorizingPrescription"] = [{"reference": "MedicationRequest/r1"}]
    dispense["medicationReference"] = {"reference": "Medication/m1"}
    note = {"resourceType": "Provenance", "id": "p", "target": [{"reference": "MedicationDispense/d"}, A]}
    asked = "_revinclude=MedicationDispense:prescription"
    for more in ("_include{}=MedicationDispense:medication", "_revinclude{}=Provenance:target"):
        asked += "&" + more.format(":iterate" if iterates else "")
    stay = ["r1", "m1", "d", "p"] if iterates else ["r1", "d"]
    assert judge_page(medication_request(), M1, dispense, note, asked=asked) == stay


def test_the_records_of_the_patient_are_no_exception() -> None:
    """An included Encounter or Patient reveals that a hidden record refers to it, as an included Practitioner does."""
    encounter = {"resourceType": "Encounter", "id": "e", "subject": A}
    patient = {"resourceType": "Patient", "id": "A"}
    assert judge_page(medication_request(), encounter, patient) == ["r1", "A"]
    assert judge_page(medication_request(encounter={"reference": "Encounter/e"}), encounter, patient) == [
        "r1",
        "e",
        "A",
    ]


def test_the_same_include_twice_stays_twice() -> None:
    assert judge_page(medication_request(medicationReference={"reference": "Medication/m1"}), M1, M1) == [
        "r1",
        "m1",
        "m1",
    ]
