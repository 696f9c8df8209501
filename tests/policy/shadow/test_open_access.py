"""Which requests are in shadow mode, and what the grant permits by which they are answered."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.request.interaction import Interaction, Operation, OperationLevel, PagingLink, Read, TypeSearch
from gateway.fhir.request.parse_request import parse_request
from gateway.fhir.search.query import Query
from gateway.policy.decision.decide import decide
from gateway.policy.decision_types import AllowWrite, Deny
from gateway.policy.permission.access import Access
from gateway.policy.permission.rules import Rules
from gateway.policy.permission.security_labels import SecurityLabelRule
from gateway.policy.reasons import Reason
from gateway.policy.shadow.open_access import Opening, ask_for_whole_resources, open_grant
from gateway.scopes.parse_scopes import parse_scopes
from gateway.settings.enforcement.operations import operation_rules

RULES = Rules("https://gateway.example/fhir", "http://fhir.example/fhir", operations=operation_rules({}))
LABELS = SecurityLabelRule(frozenset({"R", "V"}), roles=frozenset({"psychiatrist"}))
FHIR = {b"content-type": b"application/fhir+json"}
BATCH = b'{"resourceType":"Bundle","type":"batch","entry":[]}'
OBSERVATION = b'{"resourceType":"Observation","id":"1","status":"final"}'
ALL = Opening(writes=True, operations=True, record_rules=True)


def _parse(request: str, body: bytes = b"", **headers: str) -> Interaction:
    method, _, target = request.partition(" ")
    path, _, query = target.partition("?")
    named = {**(FHIR if body else {}), **{name.encode(): value.encode() for name, value in headers.items()}}
    return parse_request(method, path.encode(), query.encode(), named, body)


def _access(scopes: str, **changes: Any) -> Access:
    given: dict[str, Any] = {"issuer": "https://i", "client_id": "c", "subject": "s", "patient": "A"}
    return Access(**{**given, **changes}, scopes=parse_scopes(scopes).scopes, scope_text=scopes, expires_at=0.0)


IN_SHADOW_MODE = {
    "a read": ("GET /Observation/1", b"", Opening(), True),
    "a version": ("GET /Observation/1/_history/2", b"", Opening(), True),
    "a history": ("GET /Observation/_history", b"", Opening(), True),
    "a history of everything": ("GET /_history", b"", Opening(), True),
    "a search": ("GET /Observation", b"", Opening(), True),
    "a search of everything": ("GET /?_type=Observation", b"", Opening(), True),
    "a search in a compartment": ("GET /Patient/A/Observation", b"", Opening(), True),
    "the statement": ("GET /metadata", b"", ALL, False),
    "an update": ("PUT /Observation/1", OBSERVATION, Opening(), False),
    "an update where writes are": ("PUT /Observation/1", OBSERVATION, Opening(writes=True), True),
    "a delete": ("DELETE /Observation/1", b"", Opening(operations=True), False),
    "a batch as a whole": ("POST /", BATCH, ALL, False),
    "an export": ("GET /$export", b"", ALL, False),
    "an operation": ("GET /Patient/A/$everything", b"", Opening(writes=True), False),
    "an operation where operations are": ("GET /Patient/A/$everything", b"", Opening(operations=True), True),
    "an operation that nobody knows": ("GET /Patient/A/$reboot", b"", ALL, False),
}


@pytest.mark.parametrize(("request_line", "body", "opening", "expected"), IN_SHADOW_MODE.values(), ids=IN_SHADOW_MODE)
def test_what_is_in_shadow_mode(request_line: str, body: bytes, opening: Opening, *, expected: bool) -> None:
    assert opening.includes(_parse(request_line, body), RULES) is expected


def test_an_operation_that_changes_something_is_never_in_shadow_mode() -> None:
    everything = Operation(OperationLevel.INSTANCE, "everything", "Patient", "A", method="POST")
    assert ALL.includes(everything, RULES)
    changing = {address: replace(rule, affects_state=True) for address, rule in RULES.operations.items()}
    assert not ALL.includes(everything, replace(RULES, operations=changing))


def test_a_link_is_not_in_shadow_mode_by_itself() -> None:
    assert not ALL.includes(PagingLink("sealed"), RULES)


@given(st.sampled_from(["", "openid", "patient/*.rs", "patient/Observation.r?code=1", "system/*.cruds"]))
def test_the_open_grant_reads_everything_and_writes_nothing_unless_asked(scopes: str) -> None:
    reading = open_grant(_access(scopes), RULES, Opening(operations=True, record_rules=True))
    assert reading.reads_everything
    refused = decide(_parse("PUT /Observation/1", OBSERVATION), reading)
    assert isinstance(refused, Deny)
    assert refused.reason is Reason.SCOPE_INSUFFICIENT
    writing = open_grant(_access(scopes), RULES, Opening(writes=True))
    assert isinstance(decide(_parse("PUT /Observation/1", OBSERVATION), writing), AllowWrite)


def test_rules_about_records_hold_for_the_open_grant_as_for_the_token() -> None:
    rules = Rules("https://g/fhir", "http://f/fhir", record_rules=(LABELS,))
    labelled = {"resourceType": "Observation", "id": "1", "meta": {"security": [{"code": "R"}]}}
    held = open_grant(_access("patient/*.rs"), rules, Opening())
    assert not held.reads_everything
    assert not held.read_permission("Observation").permits(labelled)
    lifted = open_grant(_access("patient/*.rs", roles=frozenset({"psychiatrist"})), rules, Opening())
    assert lifted.read_permission("Observation").permits(labelled)
    assert open_grant(_access("patient/*.rs"), rules, Opening(record_rules=True)).reads_everything


def test_whole_resources_are_asked_for_and_counts_stay_counts() -> None:
    search = _parse("GET /Observation?code=1&_elements=status&_summary=text")
    assert ask_for_whole_resources(search) == _parse("GET /Observation?code=1")
    count = _parse("GET /Observation?_summary=count")
    assert ask_for_whole_resources(count) is count
    assert ask_for_whole_resources(_parse("GET /Patient/A?_summary=true")) == Read("Patient", "A")
    plain = TypeSearch("Observation", Query())
    assert ask_for_whole_resources(plain) is plain
    history = _parse("GET /Observation/_history")
    assert ask_for_whole_resources(history) is history
