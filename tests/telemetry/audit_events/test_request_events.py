"""What the AuditEvents of a request say: whose record, who asked, what was asked, and what left."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.request import interaction as fhir
from gateway.policy.reasons import Reason
from gateway.policy.shadow.shadow_outcome import ShadowOutcome
from gateway.telemetry.audit_events.chain import Chain, entity_details
from gateway.telemetry.audit_events.entities import DECISION, EventForm
from gateway.telemetry.audit_events.naming import Naming
from gateway.telemetry.audit_events.request_events import MAX_PATIENTS, Answer, request_events, request_parties
from gateway.telemetry.request_record import RequestRecord
from tests.telemetry.audit_events.sample_events import BASE, FORMS, by_patient, by_patients_app, by_user
from tests.telemetry.request_records import request_record

SEARCH = fhir.TypeSearch("Observation", by_patient("A"))
READ = fhir.Read("Observation", "o1")


def events_of(record: RequestRecord, answer: Answer | None = None, form: str = "in full") -> list[dict[str, Any]]:
    chain = Chain.start(None)
    events = request_events(record, answer or Answer(), FORMS[form], request_parties(record, FORMS[form]))
    return [json.loads(chain.seal(event, 0)) for event in events]


def patients_of(events: list[dict[str, Any]]) -> list[str]:
    return [
        entity["what"]["identifier"]["value"]
        for event in events
        for entity in event["entity"]
        if entity.get("role", {}).get("code") == "1"
    ]


def body_about(*references: str) -> bytes:
    entries = [{"resource": {"resourceType": "Observation", "subject": {"reference": text}}} for text in references]
    return json.dumps({"resourceType": "Bundle", "entry": entries}).encode()


# The token, the interaction, the response, and the patients whose record has an event.
CASES: dict[str, tuple[Any, fhir.Interaction | None, int, bytes, list[str]]] = {
    "a token of one patient has its events there": (by_patients_app(), READ, 200, body_about("Patient/B"), ["A"]),
    "a user who finds several patients has one for each": (
        by_user(patient=None), fhir.TypeSearch("Observation"), 200, body_about("Patient/B", "Patient/C", "Patient/B"),
        ["B", "C"],
    ),
    "references under the base count": (by_user(), READ, 200, body_about(f"{BASE}/Patient/B/_history/3"), ["B"]),
    "escaped references count": (
        by_user(), READ, 200, rb'{"subject":{"reference":"Patient\/B"},"performer":{"reference":"\u0050atient\/C"}}',
        ["B", "C"],
    ),
    "references beside half a surrogate pair count": (
        by_user(), READ, 200, rb'{"text":{"div":"\ud800"},"subject":{"reference":"Patient/B"}}', ["B"],
    ),
    "a patient among the results counts": (
        by_user(), fhir.SystemSearch(), 200, b'{"entry":[{"resource":{"resourceType":"Patient","id":"B"}}]}', ["B"],
    ),
    "a search without results names its patient": (by_user(), SEARCH, 200, b"{}", ["A"]),
    "nobody named: the patient of the token": (by_user(), READ, 200, b"{}", ["A"]),
    "nobody named, nobody known": (by_user(patient=None), READ, 200, b"{}", []),
    "a refusal concerns whom the request names": (
        by_patients_app(), fhir.Read("Patient", "B"), 404, b'{"resourceType":"OperationOutcome"}', ["B"],
    ),
    "a refusal that names nobody": (by_patients_app(), READ, 403, b"{}", ["A"]),
    "without a token": (None, fhir.Read("Patient", "B"), 401, b"{}", ["B"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_whose_record_an_event_is_about(case: str) -> None:
    token, interaction, status, body, expected = CASES[case]
    reason = Reason.PERMITTED if status < 400 else Reason.NOT_FOUND
    record = request_record(access=token, interaction=interaction, status=status, reason=reason)
    assert sorted(patients_of(events_of(record, Answer(body)))) == expected


def test_in_shadow_mode_an_event_is_about_whom_the_answer_names_and_says_what_enforcement_would_have_done() -> None:
    outcome = ShadowOutcome(Reason.OUT_OF_REACH)
    record = request_record(access=by_patients_app(), interaction=READ, shadow=outcome)
    events = events_of(record, Answer(body_about("Patient/B", "Patient/C")))
    assert sorted(patients_of(events)) == ["B", "C"]
    assert {entity_details(event, DECISION)["shadow"] for event in events} == {"out_of_reach"}
    assert patients_of(events_of(record, Answer(b"{}"))) == ["A"]


def test_the_patients_of_written_content_have_events() -> None:
    write = fhir.Write(fhir.WriteKind.CREATE, "Observation")
    record = request_record(access=by_user(), interaction=write, status=201, written_patients=("B",))
    [event] = events_of(record, Answer(location=f"{BASE}/Observation/o2/_history/1".encode()))
    assert patients_of([event]) == ["B"]
    assert event["entity"][1]["what"]["identifier"]["value"] == "o2/_history/1"


@given(st.lists(st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True), min_size=1, unique=True))
def test_every_patient_whom_a_body_names_has_an_event(ids: list[str]) -> None:
    record = request_record(access=by_user(patient=None), interaction=READ)
    body = body_about(*(f"Patient/{id_}" for id_ in ids))
    assert patients_of(events_of(record, Answer(body))) == ids


def test_events_say_how_many_patients_they_leave_out() -> None:
    record = request_record(access=by_user(patient=None), interaction=fhir.TypeSearch("Observation"))
    events = events_of(record, Answer(body_about(*(f"Patient/p{n}" for n in range(MAX_PATIENTS + 7)))))
    assert len(events) == MAX_PATIENTS
    assert entity_details(events[0], DECISION)["patients_left_out"] == "7"


def test_an_event_says_what_left_and_by_which_decision() -> None:
    record = request_record(access=by_user(), interaction=SEARCH, configuration="v1")
    [event] = events_of(record)
    assert entity_details(event, DECISION) == {
        "interaction": "search-type", "resource_type": "Observation", "status": "200", "reason": "permitted",
        "configuration": "v1", "decision_id": "5f0c-1", "kept": "3", "bytes": "1000", "dropped": "2",
    }  # fmt: skip


def test_a_streamed_answer_says_at_its_end_what_has_left() -> None:
    record = request_record(access=by_user(), interaction=fhir.ExportFile("sealed"), kept=7)
    start, end = (
        entity_details(events_of(record, answer)[0], DECISION)
        for answer in (Answer(is_streamed=True), Answer(is_end=True))
    )
    assert (start["streamed"], start.get("kept")) == ("start", None)
    assert (end["streamed"], end["kept"]) == ("end", "7")


def query_of(record: RequestRecord, form: EventForm) -> str:
    [event] = request_events(record, Answer(), form, request_parties(record, form))
    return base64.b64decode(json.loads(Chain.start(None).seal(event, 0))["entity"][1]["query"]).decode()


QUERIES = {
    "in full": (FORMS["in full"], f"GET {BASE}/Observation?patient=A"),
    "names alone": (EventForm(Naming(BASE), query_values=False), f"GET {BASE}/Observation?patient=*"),
    "pseudonyms never stand beside a value": (FORMS["with pseudonyms"], f"GET {BASE}/Observation?patient=*"),
}


@pytest.mark.parametrize("case", QUERIES)
def test_the_query_of_a_search(case: str) -> None:
    form, expected = QUERIES[case]
    assert query_of(request_record(access=by_patients_app(), interaction=SEARCH), form) == expected


@pytest.mark.parametrize(
    "interaction",
    [
        fhir.Read("Patient", "SECRET"),
        fhir.VRead("Patient", "SECRET", "1"),
        fhir.CompartmentSearch("Patient", "SECRET", "*"),
        fhir.TypeSearch("Observation", by_patient("SECRET")),
        fhir.Write(fhir.WriteKind.UPDATE, "Patient", "SECRET"),
        fhir.Write(fhir.WriteKind.DELETE, "Observation", None, by_patient("SECRET")),
        fhir.Operation(fhir.OperationLevel.INSTANCE, "everything", "Patient", "SECRET"),
    ],
    ids=lambda interaction: type(interaction).__name__,
)
@pytest.mark.parametrize("status", [200, 403])
def test_with_pseudonyms_no_id_of_a_patient_is_written(interaction: fhir.Interaction, status: int) -> None:
    form = EventForm(Naming(BASE, hash_id=lambda _: "hmac:1"))
    record = request_record(access=by_patients_app(patient="SECRET"), interaction=interaction, status=status)
    parties = request_parties(record, form)
    for event in request_events(record, Answer(), form, parties):
        line = Chain.start(None).seal(event, 0)
        queries = [entity.get("query", "") for entity in json.loads(line)["entity"]]
        assert b"SECRET" not in line + b"".join(map(base64.b64decode, queries))


def test_half_a_surrogate_pair_in_a_claim_is_replaced() -> None:
    record = request_record(access=by_user(roles=frozenset({"\ud800"}), subject="\ud800"), interaction=READ)
    assert events_of(record)[0]["agent"][2]["role"] == [{"text": "?"}]
