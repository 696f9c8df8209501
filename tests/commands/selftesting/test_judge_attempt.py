"""Which answers to an attempt give something away."""

import json
from typing import Any

import httpx2
import pytest

from gateway.commands.selftesting.attempts import Attempt, AttemptedRequest, Expectation, Subjects, read_attempts
from gateway.commands.selftesting.check_results import CheckError, SkippedCheck
from gateway.commands.selftesting.judge_attempt import try_attempt
from gateway.commands.selftesting.web import Answer

SUBJECTS = Subjects("https://fhir.example.org/r4", "a1", "b1", "own", "vital", "hidden", "hidden-binary", "absent")
MARK = "CanaryB"


def make_attempt(target: str = "/Observation", **changes: Any) -> Attempt:
    given: dict[str, Any] = {
        "id": "leak_01",
        "attempt": "x",
        "scope": "patient/*.rs",
        "requests": (AttemptedRequest("GET", target),),
        "expect": Expectation.HIDDEN,
        "only": frozenset(),
        "same_for": (),
        "changes": False,
    }
    return Attempt(**{**given, **changes})


def make_answer(status: int = 200, body: object = None, **headers: str) -> Answer:
    return Answer("GET /x", status, httpx2.Headers(headers), json.dumps(body).encode())


def bundle(*resources: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", **members, "entry": [{"resource": resource} for resource in resources]}


OBSERVATION_OF_A = {"resourceType": "Observation", "id": "own", "subject": {"reference": "Patient/a1"}}
OBSERVATION_OF_OTHERS = {"resourceType": "Observation", "id": "x", "subject": {"reference": "Patient/c1"}}
OUTCOME = {"resourceType": "OperationOutcome"}
REFUSED = Expectation.REFUSED


@pytest.mark.parametrize(
    ("attempt", "answer", "found"),
    [
        pytest.param(make_attempt(), make_answer(body={"a": MARK}), "mark", id="the mark in the body"),
        pytest.param(make_attempt(), make_answer(404, {"a": MARK}), "mark", id="the mark in a refusal"),
        pytest.param(make_attempt(), make_answer(location=MARK), "mark", id="the mark in the head"),
        pytest.param(
            make_attempt(only=frozenset({"Patient"})),
            make_answer(body=bundle(OBSERVATION_OF_A)),
            "out of scope: Observation",
            id="a type that is out of scope",
        ),
        pytest.param(make_attempt(), make_answer(body=bundle(OBSERVATION_OF_OTHERS)), "somebody else", id="somebody's"),
        pytest.param(
            make_attempt(),
            make_answer(body={"resourceType": "Patient", "id": "c1"}),
            "somebody else",
            id="somebody",
        ),
        pytest.param(
            make_attempt(),
            make_answer(body=bundle(bundle({"resourceType": "Patient", "id": "a12"}))),
            "somebody else",
            id="an id that begins like the own one, in a Bundle in a Bundle",
        ),
        pytest.param(make_attempt(expect=REFUSED), make_answer(200, OUTCOME), "no refusal", id="not refused"),
        pytest.param(
            make_attempt("/Observation/{hidden}", expect=Expectation.ABSENT),
            make_answer(304),
            "answered with 304",
            id="a 304 where nothing should be",
        ),
    ],
)  # fmt: skip
def test_an_answer_gives_something_away_that_has(attempt: Attempt, answer: Answer, found: str) -> None:
    with pytest.raises(CheckError, match=found) as caught:
        try_attempt(attempt, SUBJECTS, [MARK], lambda request: answer, only_own=True)
    assert caught.value.sent == "GET /x"


def test_hidden_and_absent_must_be_the_same() -> None:
    def answers(request: AttemptedRequest) -> Answer:
        return make_answer(403 if "hidden" in request.target else 404, OUTCOME)

    attempt = make_attempt("/Observation/{hidden}", expect=Expectation.ABSENT)
    with pytest.raises(CheckError, match="differs"):
        try_attempt(attempt, SUBJECTS, [MARK], answers)
    try_attempt(attempt, SUBJECTS, [MARK], lambda request: make_answer(404, OUTCOME))


def test_a_guess_must_make_no_difference() -> None:
    attempt = make_attempt("/Observation?_id={guess}", same_for=("{hidden}", "{absent}"))
    asked: list[str] = []

    def counts(request: AttemptedRequest) -> Answer:
        asked.append(request.target)
        return make_answer(200, bundle(total=int("hidden" in request.target), id=request.target))

    with pytest.raises(CheckError, match="differs"):
        try_attempt(attempt, SUBJECTS, [MARK], counts)
    assert asked == ["/Observation?_id=hidden", "/Observation?_id=absent"]
    try_attempt(attempt, SUBJECTS, [MARK], lambda request: make_answer(200, bundle(total=0, id=request.target)))


def test_what_belongs_to_the_patient_may_be_shown() -> None:
    versioned = {**OBSERVATION_OF_A, "subject": {"reference": "https://x/Patient/a1/_history/3"}}
    shown = bundle(OBSERVATION_OF_A, versioned, {"resourceType": "Patient", "id": "a1"}, OUTCOME)
    try_attempt(make_attempt(), SUBJECTS, [MARK], lambda request: make_answer(200, shown), only_own=True)


def test_failures_prove_nothing_but_may_still_leak() -> None:
    with pytest.raises(SkippedCheck):
        try_attempt(make_attempt(), SUBJECTS, [MARK], lambda request: make_answer(502, OUTCOME))
    with pytest.raises(CheckError, match="mark"):
        try_attempt(make_attempt(), SUBJECTS, [MARK], lambda request: make_answer(502, {"x": MARK}))


@pytest.mark.parametrize("attempt", read_attempts(), ids=lambda attempt: f"{attempt.id} {attempt.attempt}")
def test_every_name_in_braces_is_known_and_every_write_names_a_canary(attempt: Attempt) -> None:
    for request in attempt.requests:
        guess = {"guess": "x"} if attempt.same_for else {}
        filled = request.filled({**SUBJECTS.values(), **guess})
        text = json.dumps([filled.target, dict(filled.headers), filled.form, filled.body])
        assert "{" not in filled.target
        assert not any(f"{{{name}}}" in text for name in ("a", "b", "own", "hidden", "absent", "base", "guess"))
        # On a live server, a write that goes through must meet nobody's record but a canary's.
        if request.method in {"PUT", "PATCH", "DELETE"}:
            assert any(name in request.target for name in ("{hidden}", "{hidden_binary}", "{own}", "{b}"))
