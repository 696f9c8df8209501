"""A FHIR server that hands out patient B's data in every way there is: no byte of it reaches patient A's app."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.gateway.marks import leaks, link_of
from tests.gateway.running import Running, running_gateways
from tests.servers.hostile import A_MARKER, B_MARKER, HOSTILE_B, Mode, start_hostile

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = {
    "max_verified_body_bytes": 200_000,
    "pool": {
        "connections": 256,
        "queue": 256,
        "connect_timeout_seconds": 1,
        "read_timeout_seconds": 0.5,
        "total_timeout_seconds": 1.0,
    },
}
# The gateway's own limits, and what a busy machine adds.
LONGEST_SECONDS = 8.0
MOST_PAGES = 3

WIDEST = "everything of the patient"
GRANTS: dict[str, dict[str, Any]] = {
    WIDEST: {"scope": "patient/*.rs"},
    "observations alone": {"scope": "patient/Observation.rs"},
    "laboratory observations, and the patient": {
        "scope": "patient/Observation.rs?category=laboratory patient/Patient.r"
    },
    "the user is the patient": {"scope": "user/*.rs", "fhirUser": "Patient/pat-a"},
    "no resource scope": {"scope": "openid fhirUser", "fhirUser": "Patient/pat-a"},
}

# The widest grant meets every mode. A narrower one could show more only where its own limits (types, a constraint, the
# user, one record alone) are what the mode goes about to evade.
NARROWER: dict[str, tuple[Mode, ...]] = {
    "observations alone": (
        Mode.IGNORES_EVERYTHING,
        Mode.INCLUDES_OF_B,
        Mode.WRONG_TYPE,
        Mode.CONTAINED_B,
        Mode.BUNDLE_IN_BUNDLE,
        Mode.HISTORY_OF_B,
        Mode.TYPE_OF_B,
        Mode.NO_RESOURCE_TYPE,
        Mode.DUPLICATE_RESOURCE_TYPE,
        Mode.DUPLICATE_ENTRY,
    ),
    "laboratory observations, and the patient": (
        Mode.IGNORES_EVERYTHING,
        Mode.ONLY_B,
        Mode.UNKNOWN_SEARCH_MODE,
        Mode.MATCH_AS_OUTCOME,
        Mode.STRIPPED_SUBJECT,
        Mode.HISTORY_OF_B,
        Mode.PAGES_OF_B,
        Mode.SUBJECT_OF_B,
        Mode.LIST_OF_SUBJECTS,
        Mode.DUPLICATE_SUBJECT_A_B,
        Mode.ESCAPED_SUBJECT_B_A,
    ),
    "the user is the patient": (
        Mode.IGNORES_EVERYTHING,
        Mode.NO_SEARCH_MODE,
        Mode.CONTAINED_B,
        Mode.PAGES_OF_B,
        Mode.SUBJECT_OF_B,
        Mode.LOOKALIKE_REFERENCES,
        Mode.LOOKALIKE_IDS,
        Mode.DUPLICATE_SUBJECT_B_A,
    ),
    "no resource scope": (
        Mode.HONEST,
        Mode.IGNORES_EVERYTHING,
        Mode.CONTAINED_B,
        Mode.READ_OF_B,
        Mode.TYPE_OF_B,
        Mode.LOOKALIKE_IDS,
        Mode.ALWAYS_304,
        Mode.OUTCOME_QUOTES_B,
        Mode.PATIENT_AS_404,
        Mode.NOT_AN_OBJECT,
    ),
}
MEETINGS = [
    *((mode, WIDEST) for mode in Mode if mode is not Mode.EVIL_METADATA),
    *((mode, grant) for grant, modes in NARROWER.items() for mode in modes),
]


@dataclass(frozen=True)
class Question:
    path: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    form: str | None = None


# What each way of asking can go wrong in; every grant asks these.
QUESTIONS = (
    Question("/Patient/pat-a"),
    Question("/Observation/a-1"),
    Question(f"/Observation/{HOSTILE_B}"),
    Question("/Observation/a-1", "HEAD"),
    Question("/Observation/a-1/_history/1"),
    Question("/Observation/a-1/_history"),
    Question("/Observation/_history"),
    Question("/_history"),
    Question("/Observation"),
    Question("/Observation?_include=Observation:subject&_include:iterate=*&_revinclude=Provenance:target"),
    Question("/Observation/_search", "POST", form="patient=pat-a&code=x"),
    Question("/?_type=Observation,Patient"),
    Question("/Patient/pat-a/Observation"),
    Question("/Binary/a-1"),
    Question("/Observation/a-1", headers={"if-none-match": 'W/"1"'}),
    Question("/metadata"),
)

# Their variations, asked by the widest grant.
VARIATIONS = (
    Question("/Condition/a-1"),
    Question(f"/Patient/{HOSTILE_B}"),
    Question("/Observation/a-1?_summary=text"),
    Question("/Observation/a-1?_elements=status"),
    Question("/Patient/pat-a/_history/1"),
    Question("/Patient/pat-a/_history"),
    Question("/Observation?patient=pat-a&_total=accurate"),
    Question("/Observation?_id=a-1"),
    Question("/Observation?_elements=status&_count=2"),
    Question("/Observation?_summary=count"),
    Question("/Patient"),
    Question("/Condition"),
    Question("/Provenance"),
    Question("/Appointment"),
    Question("/Group"),
    Question("/_search", "POST", form="_type=Observation"),
    Question("/Patient/pat-b/Observation"),
    Question("/Patient?_revinclude=Observation:subject&_revinclude=*"),
    Question("/Binary/a-1", headers={"accept": "text/plain"}),
    Question(f"/Binary/{HOSTILE_B}", headers={"accept": "*/*"}),
    Question(f"/Observation/{HOSTILE_B}", headers={"if-none-match": "*"}),
    Question("/Patient/pat-a", headers={"if-modified-since": "Thu, 01 Jan 2037 09:00:00 GMT"}),
)
# The hostile server answers each of these ids with another owner that looks like A.
LOOKALIKES = tuple(Question(f"/Observation/a-{number}") for number in range(2, 19))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Running]]:
    with start_hostile() as hostile:
        upstreams = {str(mode): hostile.base(mode) for mode in Mode}
        async with running_gateways(upstreams, tmp_path_factory.mktemp("hostile"), upstream=LIMITS) as running:
            yield running


async def ask(gateway: Running, question: Question, token: str) -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}", **question.headers}
    if question.form is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
    url = question.path if question.path.startswith("http") else gateway.base_url + question.path
    return await gateway.client.request(question.method, url, headers=headers, content=question.form)


async def with_its_pages(gateway: Running, question: Question, token: str) -> list[str]:
    """What is wrong with the answer and with the pages behind it, as sentences."""
    wrong = []
    for _ in range(MOST_PAGES):
        asked_at = time.monotonic()
        answer = await ask(gateway, question, token)
        seconds = time.monotonic() - asked_at
        about = f"{question.method} {question.path}: {answer.status_code}"
        wrong += [f"{about}, {leak}" for leak in leaks(answer)]
        wrong += [f"{about}, {problem}" for problem in _faults(question, answer, seconds)]
        following = _next(gateway, answer) if question.method == "GET" else None
        if following is None:
            break
        question = Question(following)
    return wrong


def _faults(question: Question, answer: httpx2.Response, seconds: float) -> list[str]:
    found = []
    if answer.status_code >= 500 and answer.status_code not in {502, 503, 504}:
        found.append("no status that the answer table knows")
    if seconds > LONGEST_SECONDS:
        found.append(f"after {seconds:.1f} s")
    if question.method == "HEAD":
        found += ["a body after HEAD"] if answer.content else []
    elif answer.status_code != 304 and _is_json(answer) != ("json" in answer.headers.get("content-type", "")):
        found.append("the body is not what its Content-Type says")
    if "x-decision-id" not in answer.headers:
        found.append("no decision id")
    return found


def _is_json(answer: httpx2.Response) -> bool:
    try:
        json.loads(answer.content)
    except (ValueError, RecursionError):
        return False
    return True


def _next(gateway: Running, answer: httpx2.Response) -> str | None:
    if answer.status_code != 200 or answer.json().get("resourceType") != "Bundle":
        return None
    url = link_of(answer, "next")
    assert url is None or url.startswith(f"{gateway.base_url}/?_page="), "a link that is not ours"
    return url


@pytest.mark.parametrize(("mode", "grant"), MEETINGS, ids=str)
async def test_no_byte_of_b_leaves(gateways: dict[str, Running], mode: Mode, grant: str) -> None:
    gateway = gateways[str(mode)]
    questions: tuple[Question, ...] = QUESTIONS
    if grant == WIDEST:
        questions += VARIATIONS
    if mode in {Mode.LOOKALIKE_REFERENCES, Mode.LOOKALIKE_IDS, Mode.NO_RESOURCE_TYPE}:
        questions += LOOKALIKES
    token = gateway.token(**GRANTS[grant])
    problems = await asyncio.gather(*(with_its_pages(gateway, question, token) for question in questions))
    assert "\n".join(one for found in problems for one in found) == ""


async def test_an_honest_server_is_heard(gateways: dict[str, Running]) -> None:
    """Without this, a gateway that answers nothing at all would pass."""
    gateway = gateways[str(Mode.HONEST)]
    token = gateway.token("patient/*.rs")
    for path in ("/Patient/pat-a", "/Observation/a-1", "/Observation", "/Observation/a-1/_history", "/_history"):
        answer = await ask(gateway, Question(path), token)
        assert (answer.status_code, A_MARKER in answer.text) == (200, True), path


async def test_a_capability_statement_keeps_its_words_and_loses_resources_operations_and_addresses(
    gateways: dict[str, Running],
) -> None:
    """What the operator of the server writes about it is public; everything else in it is ours or left out."""
    answer = await gateways[str(Mode.EVIL_METADATA)].client.get(
        gateways[str(Mode.EVIL_METADATA)].base_url + "/metadata"
    )
    statement = answer.json()
    assert statement.pop("description") == B_MARKER
    assert statement["rest"][0].pop("documentation") == B_MARKER
    told = json.dumps(statement)
    assert (answer.status_code, B_MARKER in told, "evil.example" in told) == (200, False, False)
