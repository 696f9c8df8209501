"""What is recorded of a request, and that no id and no value of it is."""

from dataclasses import replace

import msgspec
import pytest

from gateway.policy.permission.security_labels import SecurityLabelRule
from gateway.policy.reasons import Reason
from gateway.policy.recording.recorded_request import RecordedRequest
from gateway.policy.recording.replay_request import Replayed
from gateway.scopes.model import Letter
from tests.policy.decision.operation_decisions import operation_grant
from tests.policy.grants import PUBLIC, make_grant
from tests.policy.recording.replays import record, replay

GRANT = make_grant("patient/*.cruds user/*.cruds", patient="A", user="Practitioner/p")
# It stands wherever a client can write anything.
MARK = "Smith1970"


@pytest.mark.parametrize(
    ("request_text", "target"),
    [
        pytest.param("GET /Observation/7", "GET /Observation/id-3", id="an id is a stand-in"),
        pytest.param("GET /Patient/A", "GET /Patient/id-1", id="the patient of the token is the same one everywhere"),
        pytest.param("GET /Practitioner/p", "GET /Practitioner/id-2", id="and so is the user"),
        pytest.param("HEAD /Patient/A", "GET /Patient/id-1", id="a HEAD is a read"),
        pytest.param("GET /Patient/A/_history/4", "GET /Patient/id-1/_history/id-3", id="a version is a stand-in"),
        pytest.param(
            "GET /Observation?patient=A&subject=Patient/B",
            "GET /Observation?patient=id-1&subject=Patient/id-3",
            id="a reference keeps its form",
        ),
        pytest.param(
            f"GET /Observation?subject={PUBLIC}/Patient/B",
            "GET /Observation?subject=Patient/id-3",
            id="a reference to this server is relative",
        ),
        pytest.param(
            "GET /Observation?subject=http://elsewhere/Patient/B",
            "GET /Observation?subject=urn:value-1",
            id="a reference to elsewhere is a URI",
        ),
        pytest.param(
            "GET /Observation?code=http://loinc.org|1234-5,|9&code:in=x",
            "GET /Observation?code=value-1%7Cvalue-2,%7Cvalue-3&code:in=value-4",
            id="a code keeps its bars, and the name its modifier",
        ),
        pytest.param(
            "GET /Observation?date=ge2024-05-06&date=lt2024-05&value-quantity=gt5.4|http://u|mg",
            "GET /Observation?date=ge2000-01-01&date=lt2000-01&value-quantity=gt1%7Cvalue-1%7Cvalue-2",
            id="dates and numbers keep prefix and precision",
        ),
        pytest.param(
            "GET /Observation?patient.name=Smith&_has:Provenance:target:agent=q",
            "GET /Observation?patient.name=value-1&_has:Provenance:target:agent=id-3",
            id="chains keep their names",
        ),
        pytest.param(
            "GET /Observation?_id=1,2,3,4,5", "GET /Observation?_id=id-3,id-4,id-5", id="a long list is cut"
        ),
        pytest.param(
            "GET /Observation?_count=7&_elements=code&_sort=-date&_include=Observation:patient&_total=none",
            "GET /Observation?_include=Observation:patient&_sort=-date&_count=20&_elements=id&_total=none",
            id="how much is asked for is known roughly",
        ),
        pytest.param("GET /Patient/B/Observation", "GET /Patient/id-3/Observation", id="a compartment is a stand-in"),
        pytest.param("PUT /Observation/7", "PUT /Observation/id-3", id="a write has its address"),
        pytest.param(
            "DELETE /Observation?identifier=s|7", "DELETE /Observation?identifier=value-1%7Cvalue-2",
            id="a conditional write has its criteria",
        ),
        pytest.param("GET /?_type=Observation", "GET /?_type=Observation", id="types are words of FHIR"),
    ],
)  # fmt: skip
def test_a_request_is_recorded_with_stand_ins(request_text: str, target: str) -> None:
    assert record(request_text, GRANT).target == target


def test_it_says_who_may_ask_and_what_was_decided() -> None:
    grant = make_grant("patient/Observation.rs?category=laboratory launch/patient", patient="A", user="Patient/A")
    recorded = record("GET /Condition?patient=A", grant)
    assert recorded == RecordedRequest(
        interaction="search-type",
        method="GET",
        client_id="app",
        issuer="https://issuer.example",
        scope="patient/Observation.rs?category=laboratory launch/patient",
        path="/Condition",
        query="patient=id-1",
        patient="id-1",
        user="Patient/id-1",
        has_subject=True,
        decision=Reason.SCOPE_INSUFFICIENT,
    )


def test_codes_of_the_granted_scope_stay_where_a_search_repeats_them() -> None:
    grant = make_grant("patient/Observation.rs?category=laboratory", patient="A")
    assert record("GET /Observation?category=laboratory", grant).query == "category=laboratory"
    assert record("GET /Observation?category=other", grant).query == "category=value-1"


def test_ids_in_constraints_of_scopes_are_stand_ins() -> None:
    grant = make_grant("user/Observation.rs?subject=Patient/A&_id=7", patient="A", user="Practitioner/p")
    assert record("GET /Observation/7", grant).scope == "user/Observation.rs?subject=Patient/id-1&_id=id-3"
    assert record("GET /Observation/7", grant).path == "/Observation/id-3"


def test_what_was_looked_up_is_recorded_as_far_as_it_is_named() -> None:
    patients = tuple(f"p{number}" for number in range(250))
    grant = make_grant("user/*.rs", patient=None, user="RelatedPerson/r", patients_of_user=patients)
    reach = record("GET /Observation?patient=p7", grant).reach
    assert reach is not None
    assert (reach.named, reach.others) == (["id-2"], 100)


def test_what_the_server_does_not_declare_is_recorded_where_it_can_matter() -> None:
    undeclared = {"Observation": frozenset({"patient", "code", "date"}), "Condition": frozenset({"patient"})}
    grant = make_grant("patient/*.rs", unsupported_parameters=undeclared)
    assert record("GET /Observation?code=1", grant).undeclared == {"Observation": ["code", "patient"]}
    assert record("GET /Observation/1", grant).undeclared == {}


def test_an_operation_keeps_the_names_of_the_manifest_and_digests_of_others() -> None:
    grant = operation_grant("patient/*.rs")
    known = record("GET /Patient/A/$everything?start=2024-01-02&_type=Observation&_count=5", grant)
    assert known.target == "GET /Patient/id-1/$everything?start=2000-01-01&_type=Observation&_count=1"
    unknown = record(f"GET /Patient/A/${MARK}?{MARK}=1", grant)
    assert unknown.path.startswith("/Patient/id-1/$name-")
    assert unknown.query.startswith("name-")


_TREE = (
    '{"resourceType":"Parameters","parameter":['
    '{"name":"MARK","valueString":"MARK"},{"name":"start","valueMARK":"MARK"},{"name":"code","valueCoding":'
    '{"system":"MARK","code":"MARK","MARK":"MARK"}},{"name":"subject","valueReference":{"reference":"Patient/MARK"}},'
    '{"name":"resource","resource":{"resourceType":"Observation","id":"MARK","note":[{"text":"MARK"}]}}]}'
)


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /Patient/MARK",
        "GET /Patient/A/_history/MARK",
        "GET /Observation?patient=MARK&subject=Patient/MARK&code=MARK|MARK&code:text=MARK&_id=MARK",
        "GET /Observation?subject=http://MARK/Patient/MARK&identifier=MARK&_filter=MARK&note=MARK",
        "GET /Observation?value-string=MARK&code-value-string=MARK$MARK&combo-code=MARK,MARK&_source=MARK",
        "GET /Observation?value-quantity=1970|MARK|MARK&_elements=MARK&_profile=MARK&_tag=MARK",
        "GET /Observation?patient.name=MARK&subject:Patient.address=MARK&_has:Provenance:target:agent=MARK",
        "GET /Patient?birthdate=1970-01-02&name=MARK&telecom=MARK&address-city=MARK",
        "GET /Patient/MARK/Observation?code=MARK",
        "GET /Practitioner/MARK/*",
        "PUT /Observation/MARK",
        "PATCH /Observation?identifier=MARK|MARK",
        "DELETE /Observation/MARK",
        "POST /Patient/MARK/$MARK?MARK=MARK",
        "POST /Observation/$lastn?MARK=MARK&code=MARK|MARK",
        "GET /Group/MARK/$export?_typeFilter=Observation%3Fcode%3DMARK&_elements=MARK",
        "GET /Patient/$export?_since=1970-01-02T03:04:05Z",
        "GET /?_page=MARK",
        "GET /$export-status?_job=MARK",
    ],
)  # fmt: skip
def test_nothing_of_a_person_is_recorded(request_text: str) -> None:
    patients = (MARK, f"{MARK}.2")
    grant = operation_grant(
        f"patient/*.cruds user/*.rs?subject=Patient/{MARK} patient/Observation.r?_id={MARK}",
        patient=MARK,
        user=f"RelatedPerson/{MARK}.3",
        patients_of_user=patients,
    )
    request = request_text.replace("MARK", MARK)
    if "note=" in request:
        request = request.replace("&note=" + MARK, "")
    body = _TREE.replace("MARK", MARK).encode() if "$" in request and request.startswith("POST") else b""
    if_none_exist = {b"if-none-exist": f"identifier={MARK}".encode()} if request.startswith("POST /Obs") else {}
    text = msgspec.json.encode(record(request, grant, body, if_none_exist)).decode()
    assert MARK not in text
    assert "1970" not in text


def test_a_condition_in_a_header_is_recorded_with_stand_ins() -> None:
    recorded = record("POST /Observation", GRANT, headers={b"if-none-exist": f"identifier={MARK}".encode()})
    assert (recorded.target, recorded.if_none_exist) == ("POST /Observation", "identifier=value-1")


def test_scopes_that_are_not_smarts_are_found_by_a_rule_that_names_them() -> None:
    word = "https://clinic.example/see-restricted"
    rule = SecurityLabelRule(frozenset({"R"}), scopes=frozenset({word}))
    grant = make_grant(f"patient/*.rs {word} launch/list?role={MARK}")
    recorded = record("GET /Observation", grant)
    assert recorded.scope == "patient/*.rs launch/list"
    assert (len(recorded.scope_words), word in str(recorded)) == (1, False)
    replayed = replay(recorded, replace(grant.rules, record_rules=(rule,)))
    assert isinstance(replayed, Replayed)
    assert word in replayed.grant.access.scope_text
    assert rule.bind(replayed.grant.access, frozenset({Letter.READ})) is None
