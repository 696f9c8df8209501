"""A hostile FHIR server returns patient B's data in every possible way: no byte of it reaches patient A's app."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.proxy.leaked_marks import find_leaks, link_of
from tests.proxy.running_gateway import RunningGateway, running_gateways
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
# The gateway's own timeouts, plus some time for a busy machine.
MAX_SECONDS = 8.0
MAX_PAGES = 3

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

# The widest grant is combined with every mode. A narrower one could reveal more only in modes that evade its own
# limits: its types, its constraint, its user or its single resource.
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
MODES_AND_GRANTS = [
    *((mode, WIDEST) for mode in Mode if mode is not Mode.EVIL_METADATA),
    *((mode, grant) for grant, modes in NARROWER.items() for mode in modes),
]


@dataclass(frozen=True)
class HostileRequest:
    path: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    form: str | None = None


# The requests of every grant: they cover all code paths.
REQUESTS = (
    HostileRequest("/Patient/pat-a"),
    HostileRequest("/Observation/a-1"),
    HostileRequest(f"/Observation/{HOSTILE_B}"),
    HostileRequest("/Observation/a-1", "HEAD"),
    HostileRequest("/Observation/a-1/_history/1"),
    HostileRequest("/Observation/a-1/_history"),
    HostileRequest("/Observation/_history"),
    HostileRequest("/_history"),
    HostileRequest("/Observation"),
    HostileRequest("/Observation?_include=Observation:subject&_include:iterate=*&_revinclude=Provenance:target"),
    HostileRequest("/Observation/_search", "POST", form="patient=pat-a&code=x"),
    HostileRequest("/?_type=Observation,Patient"),
    HostileRequest("/Patient/pat-a/Observation"),
    HostileRequest("/Binary/a-1"),
    HostileRequest("/Observation/a-1", headers={"if-none-match": 'W/"1"'}),
    HostileRequest("/metadata"),
)

# Their variations, asked by the widest grant.
VARIATIONS = (
    HostileRequest("/Condition/a-1"),
    HostileRequest(f"/Patient/{HOSTILE_B}"),
    HostileRequest("/Observation/a-1?_summary=text"),
    HostileRequest("/Observation/a-1?_elements=status"),
    HostileRequest("/Patient/pat-a/_history/1"),
    HostileRequest("/Patient/pat-a/_history"),
    HostileRequest("/Observation?patient=pat-a&_total=accurate"),
    HostileRequest("/Observation?_id=a-1"),
    HostileRequest("/Observation?_elements=status&_count=2"),
    HostileRequest("/Observation?_summary=count"),
    HostileRequest("/Patient"),
    HostileRequest("/Condition"),
    HostileRequest("/Provenance"),
    HostileRequest("/Appointment"),
    HostileRequest("/Group"),
    HostileRequest("/_search", "POST", form="_type=Observation"),
    HostileRequest("/Patient/pat-b/Observation"),
    HostileRequest("/Patient?_revinclude=Observation:subject&_revinclude=*"),
    HostileRequest("/Binary/a-1", headers={"accept": "text/plain"}),
    HostileRequest(f"/Binary/{HOSTILE_B}", headers={"accept": "*/*"}),
    HostileRequest(f"/Observation/{HOSTILE_B}", headers={"if-none-match": "*"}),
    HostileRequest("/Patient/pat-a", headers={"if-modified-since": "Thu, 01 Jan 2037 09:00:00 GMT"}),
)
# The hostile server answers each of these ids with another owner that looks like A.
LOOKALIKES = tuple(HostileRequest(f"/Observation/a-{number}") for number in range(2, 19))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, RunningGateway]]:
    with start_hostile() as hostile:
        upstreams = {str(mode): hostile.base(mode) for mode in Mode}
        async with running_gateways(upstreams, tmp_path_factory.mktemp("hostile"), upstream=LIMITS) as running:
            yield running


async def send(gateway: RunningGateway, question: HostileRequest, token: str) -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}", **question.headers}
    if question.form is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
    url = question.path if question.path.startswith("http") else gateway.base_url + question.path
    return await gateway.client.request(question.method, url, headers=headers, content=question.form)


async def find_problems(gateway: RunningGateway, question: HostileRequest, token: str) -> list[str]:
    """What is wrong with the response and with the following pages, as sentences."""
    wrong = []
    for _ in range(MAX_PAGES):
        asked_at = time.monotonic()
        response = await send(gateway, question, token)
        seconds = time.monotonic() - asked_at
        about = f"{question.method} {question.path}: {response.status_code}"
        wrong += [f"{about}, {leak}" for leak in find_leaks(response)]
        wrong += [f"{about}, {problem}" for problem in _faults(question, response, seconds)]
        following = _next(gateway, response) if question.method == "GET" else None
        if following is None:
            break
        question = HostileRequest(following)
    return wrong


def _faults(question: HostileRequest, response: httpx2.Response, seconds: float) -> list[str]:
    found = []
    if response.status_code >= 500 and response.status_code not in {502, 503, 504}:
        found.append("no status that the answer table knows")
    if seconds > MAX_SECONDS:
        found.append(f"after {seconds:.1f} s")
    if question.method == "HEAD":
        found += ["a body after HEAD"] if response.content else []
    elif response.status_code != 304 and _is_json(response) != ("json" in response.headers.get("content-type", "")):
        found.append("the body is not what its Content-Type says")
    if "x-decision-id" not in response.headers:
        found.append("no decision id")
    return found


def _is_json(response: httpx2.Response) -> bool:
    try:
        json.loads(response.content)
    except (ValueError, RecursionError):
        return False
    return True


def _next(gateway: RunningGateway, response: httpx2.Response) -> str | None:
    is_raw_content = "json" not in response.headers.get("content-type", "")
    if response.status_code != 200 or is_raw_content or response.json().get("resourceType") != "Bundle":
        return None
    url = link_of(response, "next")
    assert url is None or url.startswith(f"{gateway.base_url}/?_page="), "a link that is not ours"
    return url


@pytest.mark.parametrize(("mode", "grant"), MODES_AND_GRANTS, ids=str)
async def test_no_byte_of_b_leaves(gateways: dict[str, RunningGateway], mode: Mode, grant: str) -> None:
    gateway = gateways[str(mode)]
    questions: tuple[HostileRequest, ...] = REQUESTS
    if grant == WIDEST:
        questions += VARIATIONS
    if mode in {Mode.LOOKALIKE_REFERENCES, Mode.LOOKALIKE_IDS, Mode.NO_RESOURCE_TYPE}:
        questions += LOOKALIKES
    token = gateway.token(**GRANTS[grant])
    problems = await asyncio.gather(*(find_problems(gateway, question, token) for question in questions))
    assert "\n".join(problem for found in problems for problem in found) == ""


async def test_an_honest_server_is_heard(gateways: dict[str, RunningGateway]) -> None:
    """Without this test, a gateway that returns nothing at all would pass."""
    gateway = gateways[str(Mode.HONEST)]
    token = gateway.token("patient/*.rs")
    for path in ("/Patient/pat-a", "/Observation/a-1", "/Observation", "/Observation/a-1/_history", "/_history"):
        response = await send(gateway, HostileRequest(path), token)
        assert (response.status_code, A_MARKER in response.text) == (200, True), path


async def test_a_capability_statement_keeps_its_words_and_loses_resources_operations_and_addresses(
    gateways: dict[str, RunningGateway],
) -> None:
    """What the server's operator writes in it is public; everything else is the gateway's own or omitted."""
    response = await gateways[str(Mode.EVIL_METADATA)].client.get(
        gateways[str(Mode.EVIL_METADATA)].base_url + "/metadata"
    )
    statement = response.json()
    assert statement.pop("description") == B_MARKER
    assert statement["rest"][0].pop("documentation") == B_MARKER
    text = json.dumps(statement)
    assert (response.status_code, B_MARKER in text, "evil.example" in text) == (200, False, False)
