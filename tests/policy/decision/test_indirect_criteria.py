"""Criteria that read other resources are allowed only where these cannot be out of the token's reach (leak_19)."""

import pytest

from gateway.fhir.resources.compartments import find_narrowing_parameter
from gateway.fhir.search_parameters import find_single_reference_path, get_search_parameters
from gateway.policy.decision_types import Allow, Deny
from gateway.policy.permission.rules import EXTRA_MEMBERSHIP, MembershipMode, PractitionerReach
from gateway.policy.reasons import Reason
from gateway.scopes.resource_types import RESOURCE_TYPES
from tests.policy.grants import decide_request, make_grant, upstream_url

UNDECLARED = {"unsupported_parameters": {"Observation": frozenset({"patient", "subject"})}}


def is_out_of_reach(request: str, **rules: object) -> bool:
    """Whether the request with a patient's token is refused because of an indirect criterion."""
    decision = decide_request(request, make_grant("patient/*.rs", **rules))  # type: ignore[arg-type]
    return isinstance(decision, Deny) and decision.reason is Reason.PARAMETER_OUT_OF_REACH


@pytest.mark.parametrize(
    "request_",
    [
        "GET /Appointment?actor:Patient.birthdate=1970",
        "GET /Appointment?patient.birthdate=1970",
        "GET /Appointment?_sort=actor:Patient.birthdate",
        "GET /Group?member:Patient.name=x",
        "GET /Account?subject:Patient.name=x",
        "GET /Account?patient.name=x",
        "GET /Person?patient.name=x",
        "GET /Provenance?patient.name=x",
        "GET /Provenance?target:Patient.name=x",
        "GET /Schedule?actor:Patient.name=x",
        "GET /AuditEvent?agent:Patient.name=x",
        "GET /AuditEvent?patient.name=x",
        "GET /Patient?_has:Appointment:actor:actor:Patient.birthdate=1970",
        "GET /?_type=Appointment&actor:Patient.name=x",
    ],
)
def test_a_chain_is_refused_through_an_element_that_may_name_others_beside_the_owner(request_: str) -> None:
    assert is_out_of_reach(request_)


def test_a_reverse_chain_from_such_an_element_tells_of_the_owners_records_alone() -> None:
    grant = make_grant("patient/*.rs")
    assert (
        upstream_url("GET /Patient?_has:Appointment:actor:date=2020", grant)
        == "/Patient?_id=A&_has:Appointment:actor:date=2020"
    )


@pytest.mark.parametrize("resource_type", sorted(RESOURCE_TYPES - {"Patient"}))
def test_a_chain_to_the_owner_is_let_through_only_where_the_owner_is_the_one_reference(resource_type: str) -> None:
    name = find_narrowing_parameter("Patient", resource_type, EXTRA_MEMBERSHIP)
    several = {"Account", "Appointment", "AuditEvent", "Group", "Person", "Provenance", "Schedule"}
    if name is not None:
        request = f"GET /{resource_type}?{name}:Patient.name=x"
        assert is_out_of_reach(request) is (resource_type in several)


@pytest.mark.parametrize(
    ("resource_type", "name", "element"),
    [
        ("Observation", "patient", "subject"),
        ("Observation", "subject", "subject"),
        ("AppointmentResponse", "patient", "actor"),
        ("Specimen", "collector", "collection.collector"),
        ("Observation", "performer", None),
        ("Appointment", "actor", None),
        ("AuditEvent", "patient", None),
        ("Observation", "code", None),
        ("Observation", "_id", None),
        ("Observation", "nonsense", None),
        ("MedicationRequest", "medication", None),
    ],
)
def test_an_element_that_holds_one_reference_at_most(resource_type: str, name: str, element: str | None) -> None:
    assert find_single_reference_path(resource_type, name) == element


@pytest.mark.parametrize("resource_type", sorted(RESOURCE_TYPES))
def test_no_element_is_called_single_of_which_the_expression_names_two(resource_type: str) -> None:
    for name, definition in get_search_parameters(resource_type).items():
        element = find_single_reference_path(resource_type, name)
        assert element is None or definition.expression.split(".where(")[0] == f"{resource_type}.{element}"
        assert element is None or " | " not in definition.expression


NOT_HELD = {
    "the server declares no parameter that names the owner": ("GET /Observation?patient.name=x", UNDECLARED),
    "the same, sorted": ("GET /Observation?_sort=patient.name", UNDECLARED),
    "the server's statement is not known": ("GET /Observation?patient.name=x", {"has_capability_statement": False}),
    "the statement is not known, backwards": (
        "GET /Patient?_has:Observation:patient:code=x",
        {"has_capability_statement": False},
    ),
    "a system search has no parameter that names the owner for every type": (
        "GET /?_type=Observation,AdverseEvent&subject:Patient.name=x",
        {},
    ),
    "a whole compartment has none either": (
        "GET /Patient/A/*?_type=Observation,AdverseEvent&subject:Patient.name=x",
        {"compartment_search": True},
    ),
}


@pytest.mark.parametrize(("request_", "rules"), NOT_HELD.values(), ids=NOT_HELD)
def test_a_chain_needs_the_narrowing_that_holds_it(request_: str, rules: dict[str, object]) -> None:
    assert is_out_of_reach(request_, **rules)


def test_a_chain_in_a_system_search_is_held_where_one_parameter_names_the_owner_for_every_type() -> None:
    query = "_type=Observation,Condition&patient.name=x"
    assert upstream_url(f"GET /?{query}", make_grant("patient/*.rs")) == f"?patient=Patient/A&{query}"


def test_an_owner_is_named_by_no_parameter_that_leads_elsewhere() -> None:
    grant = make_grant("patient/*.rs", unsupported_parameters={"Appointment": frozenset({"patient", "actor"})})
    decision = decide_request("GET /Appointment", grant)
    assert isinstance(decision, Allow)
    assert decision.upstream_request.query == ""


LOOKING = {
    "a chain": "patient.name=x",
    "a chain that sorts": "_sort=patient.name",
    "a chain to a type that all may see": "performer:Organization.name=x",
}


@pytest.mark.parametrize("criterion", LOOKING.values(), ids=LOOKING)
def test_a_search_in_a_compartment_names_the_owner_where_it_looks_through_a_link(criterion: str) -> None:
    """A compartment also contains records about others: A may be the performer of an observation on somebody else."""
    grant = make_grant("patient/*.rs system/Organization.rs", compartment_search=True)
    query = upstream_url(f"GET /Observation?{criterion}", grant)
    assert query == f"/Patient/A/Observation?patient=Patient/A&{criterion}"


def test_a_search_in_a_compartment_names_the_owner_where_that_alone_makes_a_member() -> None:
    grant = make_grant("patient/*.rs", compartment_search=True, membership=MembershipMode.SUBJECT)
    assert upstream_url("GET /Observation?_summary=count", grant) == (
        "/Patient/A/Observation?patient=Patient/A&_summary=count"
    )


def test_a_practitioner_looks_through_a_link_to_oneself_alone() -> None:
    rules = {"user": "Practitioner/1", "patient": None, "practitioner_reach": PractitionerReach.COMPARTMENT}
    grant = make_grant("user/*.rs", **rules)  # type: ignore[arg-type]
    assert isinstance(decide_request("GET /MedicationRequest?requester:Practitioner.name=x", grant), Allow)
    assert isinstance(decide_request("GET /Observation?performer:Practitioner.name=x", grant), Deny)
