"""The compartments that a resource belongs to, found from its literal references."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.matching.fhirpath import compile_expression
from gateway.fhir.reference import ID_PATTERN, parse_reference
from gateway.fhir.resources.compartments import UNKNOWN_OWNER, compile_membership, get_membership_parameters
from gateway.fhir.search_parameters import get_search_parameters
from gateway.scopes.resource_types import RESOURCE_TYPES
from tests.fhir.matching.generate_resource import generate_resource

PUBLIC = "https://gw.example"
UPSTREAM = "https://gw.example/fhir"
BASES = (PUBLIC, UPSTREAM)
EXTRA = {"Device": ("patient",), "Task": ("patient",)}
FOCUS = {"Observation": ("focus",)}
A, B = {"reference": "Patient/A"}, {"reference": "Patient/B"}
DOCTOR = {"reference": "Practitioner/P"}


def find_owners(
    resource_type: str, compartment_type: str = "Patient", *, subject_only: bool = False, **members: Any
) -> set[str]:
    membership = compile_membership(
        compartment_type, resource_type, subject_only=subject_only, extra_parameters=EXTRA, bases=BASES
    )
    assert membership is not None
    compartment_ids = membership.find_compartment_ids({"resourceType": resource_type, **members})
    needed_members = {name: members[name] for name in membership.elements if name in members}
    assert membership.find_compartment_ids(needed_members) == compartment_ids
    return compartment_ids


@pytest.mark.parametrize(
    ("resource_type", "members", "full", "subject"),
    [
        pytest.param("Patient", {"id": "A"}, {"A"}, {"A"}, id="a patient is of its own"),
        pytest.param(
            "Patient",
            {"id": "A", "link": [{"other": B, "type": "seealso"}], "generalPractitioner": [DOCTOR]},
            {"A"},
            {"A"},
            id="a link to another patient is not followed",
        ),
        pytest.param("Patient", {}, {UNKNOWN_OWNER}, {UNKNOWN_OWNER}, id="a patient without id"),
        pytest.param("Observation", {"subject": A}, {"A"}, {"A"}, id="an observation about A"),
        pytest.param(
            "Observation", {"subject": B, "performer": [DOCTOR, A]}, {"A", "B"}, {"B"}, id="about B, performed by A"
        ),
        pytest.param("Observation", {"focus": [A]}, set(), set(), id="with A in focus"),
        pytest.param("Observation", {"subject": {"reference": "Group/A"}}, set(), set(), id="about the group A"),
        pytest.param("Condition", {"subject": B, "asserter": A}, {"A", "B"}, {"B"}, id="of B, asserted by A"),
        pytest.param(
            "AllergyIntolerance", {"patient": B, "recorder": A}, {"A", "B"}, {"B"}, id="an allergy recorded by A"
        ),
        pytest.param(
            "Coverage",
            {"beneficiary": B, "policyHolder": A, "subscriber": A, "payor": [A]},
            {"A", "B"},
            {"B"},
            id="a coverage of B that A holds",
        ),
        pytest.param("Claim", {"patient": B, "payee": {"party": A}}, {"A", "B"}, {"B"}, id="a claim that pays A"),
        pytest.param(
            "Appointment",
            {"participant": [{"actor": A}, {"actor": DOCTOR}, {"actor": B}]},
            {"A", "B"},
            {"A", "B"},
            id="an appointment of A and B",
        ),
        pytest.param(
            "AuditEvent",
            {"agent": [{"who": A}], "entity": [{"what": B}]},
            {"A", "B"},
            {"A", "B"},
            id="an event by A about B",
        ),
        pytest.param("Group", {"member": [{"entity": A}, {"entity": B}]}, {"A", "B"}, {"A", "B"}, id="members"),
        pytest.param("List", {"subject": B, "source": A}, {"A", "B"}, {"B"}, id="a list about B by A"),
        pytest.param("List", {"subject": B, "entry": [{"item": A}]}, {"B"}, {"B"}, id="a list that holds A"),
        pytest.param("Composition", {"subject": B, "author": [A]}, {"A", "B"}, {"B"}, id="a composition by A"),
        pytest.param("Provenance", {"target": [A, DOCTOR]}, {"A"}, {"A"}, id="the provenance of A"),
        pytest.param("Person", {"link": [{"target": A}]}, {"A"}, {"A"}, id="a person who is A"),
        pytest.param("Schedule", {"actor": [A]}, {"A"}, {"A"}, id="a schedule of A"),
        pytest.param("Task", {"for": A, "requester": B}, {"A"}, {"A"}, id="a task for A"),
        pytest.param("Task", {"focus": A, "owner": A}, set(), set(), id="a task that A owns"),
        pytest.param("Device", {"patient": A}, {"A"}, {"A"}, id="a device of A"),
        pytest.param("Device", {"owner": A}, set(), set(), id="a device of nobody"),
        pytest.param(
            "MedicationAdministration", {"subject": B, "performer": [{"actor": A}]}, {"A", "B"}, {"B"}, id="g"
        ),
    ],
)
def test_a_resource_belongs_to_the_patients(
    resource_type: str, members: dict[str, Any], full: set[str], subject: set[str]
) -> None:
    assert find_owners(resource_type, **members) == full
    assert find_owners(resource_type, subject_only=True, **members) == subject


@pytest.mark.parametrize(
    ("reference", "ids"),
    [
        pytest.param({"reference": "Patient/A"}, {"A"}, id="relative"),
        pytest.param({"reference": "Patient/A/_history/7"}, {"A"}, id="a version"),
        pytest.param({"reference": f"{PUBLIC}/Patient/A"}, {"A"}, id="under the public base"),
        pytest.param({"reference": f"{UPSTREAM}/Patient/A"}, {"A"}, id="under the upstream base, which lies below it"),
        pytest.param({"reference": f"{UPSTREAM}/Patient/A/_history/7"}, {"A"}, id="a version under a base"),
        pytest.param({"reference": "Patient/A", "type": "Patient"}, {"A"}, id="with its type"),
        pytest.param({"reference": "Patient/A", "identifier": {"value": "x"}}, {"A"}, id="with an identifier too"),
        pytest.param({"reference": "Patient/" + "a" * 64}, {"a" * 64}, id="the longest id"),
        pytest.param({"reference": "Patient/" + "a" * 65}, set(), id="an id too long"),
        pytest.param(
            {"reference": f"{UPSTREAM}/Patient/{'a' * 64}/_history/{'v' * 64}"}, {"a" * 64}, id="the longest reference"
        ),
        pytest.param({"reference": "Patient/A", "type": "Group"}, {UNKNOWN_OWNER}, id="a type that contradicts"),
        pytest.param({"reference": "Patient/A", "type": {}}, {UNKNOWN_OWNER}, id="a type of an odd shape"),
        pytest.param({"reference": "https://other.example/fhir/Patient/A"}, set(), id="another server"),
        pytest.param({"reference": f"{UPSTREAM}.evil.example/Patient/A"}, set(), id="a host that begins alike"),
        pytest.param({"reference": "Patient/.."}, set(), id="a path upwards"),
        pytest.param({"reference": "Patient/A/../B"}, set(), id="a path around"),
        pytest.param({"reference": "Patient/A%2f"}, set(), id="an encoded slash"),
        pytest.param({"reference": "patient/A"}, set(), id="a type in another case"),
        pytest.param({"reference": "PatientX/A"}, set(), id="a type that begins alike"),
        pytest.param({"reference": "Patient/A\n"}, set(), id="a line feed"),
        pytest.param({"reference": "Patient?identifier=A"}, set(), id="a conditional reference"),
        pytest.param({"reference": "#A"}, set(), id="a contained patient"),
        pytest.param({"reference": "urn:uuid:A"}, set(), id="a URN"),
        pytest.param({"identifier": {"value": "A"}, "type": "Patient"}, set(), id="an identifier alone"),
        pytest.param({"display": "Patient/A"}, set(), id="a display alone"),
        pytest.param({"reference": None}, set(), id="null"),
        pytest.param({"reference": ["Patient/A"]}, {UNKNOWN_OWNER}, id="a list for a reference"),
        pytest.param("Patient/A", {UNKNOWN_OWNER}, id="a string for a Reference"),
        pytest.param([[A]], {UNKNOWN_OWNER}, id="a list in a list"),
    ],
)
def test_a_reference_counts_when_it_is(reference: Any, ids: set[str]) -> None:
    assert find_owners("Observation", subject=reference) == ids
    assert find_owners("Observation", performer=[reference]) == ids


def test_all_of_several_are_told_where_several_may_stand_and_none_where_one_was_meant() -> None:
    """Otherwise a resource with two subjects would be shown to both (leak_26), or hide another patient (leak_20)."""
    assert find_owners("Observation", performer=[A, B]) == {"A", "B"}
    assert find_owners("Observation", subject=[A, B]) == {UNKNOWN_OWNER}
    assert find_owners("Claim", payee=[{"party": B}]) == {UNKNOWN_OWNER}
    assert find_owners("Claim", patient=A, payee={"party": [B]}) == {"A", UNKNOWN_OWNER}


def test_nobody_has_no_id() -> None:
    assert not ID_PATTERN.fullmatch(UNKNOWN_OWNER)
    assert find_owners("Patient", id=UNKNOWN_OWNER) == find_owners("Patient", id=["A"]) == {UNKNOWN_OWNER}


@pytest.mark.parametrize(
    ("compartment_type", "resource_type", "members", "ids"),
    [
        ("Encounter", "Observation", {"encounter": {"reference": "Encounter/E"}, "subject": A}, {"E"}),
        ("Encounter", "Encounter", {"id": "E"}, {"E"}),
        ("Practitioner", "Observation", {"performer": [DOCTOR, A]}, {"P"}),
        ("Practitioner", "Encounter", {"participant": [{"individual": DOCTOR}]}, {"P"}),
        ("Practitioner", "Patient", {"id": "A", "generalPractitioner": [DOCTOR]}, {"P"}),
        ("Device", "Observation", {"device": {"reference": "Device/D"}}, {"D"}),
        ("RelatedPerson", "Patient", {"link": [{"other": {"reference": "RelatedPerson/R"}}]}, {"R"}),
    ],
)
def test_the_other_compartments_work_alike(
    compartment_type: str, resource_type: str, members: dict[str, Any], ids: set[str]
) -> None:
    assert find_owners(resource_type, compartment_type, **members) == ids


def test_what_an_operator_adds_counts_beside_whom_the_record_is_about() -> None:
    members = {"subject": B, "focus": [A], "performer": [{"reference": "Patient/C"}]}
    for subject_only, ids in ((True, {"A", "B"}), (False, {"A", "B", "C"})):
        membership = compile_membership("Patient", "Observation", subject_only=subject_only, extra_parameters=FOCUS)
        assert membership is not None
        assert membership.find_compartment_ids(members) == ids


def test_a_base_that_ends_like_a_type_makes_no_patient_of_a_group() -> None:
    membership = compile_membership("Patient", "Observation", bases=(PUBLIC, f"{PUBLIC}/Patient"))
    assert membership is not None
    assert membership.find_compartment_ids({"subject": {"reference": f"{PUBLIC}/Patient/Group/A"}}) == set()


PLAIN = st.text(alphabet="AZaz09-./_#?:\n", max_size=20)
TEXTS = st.builds(
    lambda base, type_prefix, id_, history: base + type_prefix + id_ + history,
    st.sampled_from(["", PUBLIC + "/", UPSTREAM + "/", "https://other/", "/", PUBLIC]),
    st.sampled_from(["Patient/", "Patient", "Group/", ""]),
    PLAIN | st.just("A") | st.just("a" * 64) | st.just(".."),
    st.sampled_from(["", "/_history/1", "/_history/", "/_history/" + "v" * 64]),
)


@given(TEXTS)
def test_what_counts_is_what_the_one_reader_of_references_says(text: str) -> None:
    reference = parse_reference(text, BASES)
    expected = {reference.id} if reference is not None and reference.resource_type == "Patient" else set()
    assert find_owners("Observation", subject={"reference": text}) == expected


@pytest.mark.parametrize(
    "resource_type", sorted(name for name in RESOURCE_TYPES if get_membership_parameters("Patient", name))
)
def test_the_membership_finds_what_its_parameters_find_in(resource_type: str) -> None:
    """The joined expression without filters for patients returns the same ids as the single expressions."""
    membership = compile_membership("Patient", resource_type)
    assert membership is not None
    expressions = [
        get_search_parameters(resource_type)[name].expression
        for name in get_membership_parameters("Patient", resource_type)
    ]
    for expression in expressions:
        for seed in range(20):
            resource = generate_resource(expression, resource_type, seed)
            values = [
                value for each in expressions for value in compile_expression(each, resource_type).evaluate(resource)
            ]
            expected = {patient_id for value in values for patient_id in read_patient_ids(value)}
            assert membership.find_compartment_ids(resource) - {UNKNOWN_OWNER} == expected


def read_patient_ids(value: Any) -> list[str]:
    text = value.get("reference") if isinstance(value, dict) else None
    reference = parse_reference(text) if isinstance(text, str) else None
    return [reference.id] if reference is not None and reference.resource_type == "Patient" else []
