"""Operations in front of servers that answer with what nobody asked for: nothing of another patient leaves."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.proxy.leaked_marks import is_refused
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.scripted_server import (
    ABSENT,
    Script,
    ScriptedResponse,
    ScriptedServer,
    bundle,
    make_resource,
    scripted_server,
)
from tests.servers.people import Resource

pytestmark = pytest.mark.asyncio(loop_scope="module")

MARK = "canary of another patient"
OWN_PATIENT = make_resource("Patient", "pat-a")
OTHER_PATIENT = make_resource("Patient", "pat-b", name=[{"text": MARK}])
OWN = make_resource("Observation", "a-1", subject={"reference": "Patient/pat-a"})
OTHER = make_resource("Observation", "b-1", subject={"reference": "Patient/pat-b"}, note=[{"text": MARK}])
COMPOSITION = make_resource("Composition", "c-1", subject={"reference": "Patient/pat-a"})
OTHER_ENCOUNTER = make_resource("Encounter", "e-b", subject={"reference": "Patient/pat-b"})
RECORDS = {
    "Patient/pat-a": OWN_PATIENT,
    "Patient/pat-b": OTHER_PATIENT,
    "Composition/c-1": COMPOSITION,
    "Encounter/e-b": OTHER_ENCOUNTER,
    "ValueSet/v-1": make_resource("ValueSet", "v-1"),
}


def parameters(*items: Any) -> Resource:
    return {"resourceType": "Parameters", "parameter": list(items)}


def parameter(resource: Resource) -> Resource:
    return {"name": "return", "resource": resource}


LET_THROUGH = {
    "Patient/[id]/$report": {"needs": ["Patient.r"], "answer": "judged"},
    "Observation/$lastn": {"enabled": True},
    "Patient/[id]/$validate": {"texts": "server"},
}


@dataclass(frozen=True)
class Setup:
    """A gateway in front of a server whose answers each test decides."""

    server: ScriptedServer
    gateway: RunningGateway

    async def ask(
        self, path: str, answer: Any, scope: str = "patient/*.rs", *, body: Any = None
    ) -> tuple[httpx2.Response, list[str]]:
        """The response to an operation that the server answers like this, and what the server was asked for."""

        def script(asked: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
            if "$" in asked or "_getpages" in query:
                return answer if isinstance(answer, tuple) else (200, answer, {})
            return (200, RECORDS[asked], {}) if asked in RECORDS else ABSENT

        return await self.ask_scripted(path, script, scope, body)

    async def ask_scripted(self, path: str, script: Script, scope: str, body: Any) -> tuple[httpx2.Response, list[str]]:
        """The same, of a server that answers by the script."""
        self.server.script = script
        self.server.requests.clear()
        sent = {} if body is None else {"json": body, "method": "POST"}
        response = await self.gateway.request(path, scope, **sent)
        return response, list(self.server.requests)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def setup(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Setup]:
    async with (
        scripted_server(lambda *_: ABSENT) as server,
        running_gateway(
            server.base_url,
            tmp_path_factory.mktemp("operations"),
            operations=LET_THROUGH,
            upstream={"max_verified_body_bytes": 8000},
        ) as gateway,
    ):
        await gateway.request("/metadata", None)
        yield Setup(server, gateway)


EVERYTHING = "/Patient/pat-a/$everything"
JUDGED: dict[str, tuple[Any, int]] = {
    "the Bundle of another patient": (bundle(OTHER_PATIENT, OTHER), 0),
    "records of both": (bundle(OWN_PATIENT, OTHER, OWN), 2),
    "a Bundle in a Bundle": (bundle(OWN, bundle(OTHER)), 1),
    "Parameters in a Bundle": (bundle(OWN, parameters(parameter(OTHER))), 1),
    "a contained record": (bundle(OWN, {**OWN, "id": "a-2", "contained": [OTHER]}), 1),
    "a record beside a reference": (bundle(OWN, {**OWN, "id": "a-2", "encounter": {"resource": OTHER}}), 1),
    "a record that repeats its subject": (
        json.dumps(bundle(OWN)).encode().replace(b'"subject"', b'"subject":{"reference":"Patient/pat-b"},"subject"'),
        0,
    ),
    "an outcome that quotes": (
        bundle(OWN, {"resourceType": "OperationOutcome", "issue": [{"diagnostics": MARK}]}),
        1,
    ),
    "a response of an entry": ({**bundle(OWN), "entry": [{"resource": OWN, "response": {"outcome": OTHER}}]}, 1),
    "a document": (bundle(OWN, OTHER, kind="document"), 1),
    "no Bundle but Parameters": (parameters(parameter(OWN), parameter(OTHER)), 1),
    "a part of Parameters": (parameters({"name": "x", "part": [parameter(OTHER), parameter(OWN)]}), 1),
    "a value of Parameters": (parameters({"name": "x", "valueString": MARK}, parameter(OWN)), 1),
    "a Bundle in Parameters": (parameters(parameter(bundle(OTHER, OWN))), 1),
    "Parameters in Parameters": (parameters(parameter(parameters(parameter(OTHER), parameter(OWN)))), 1),
    "a Bundle in a Bundle in Parameters": (parameters(parameter(bundle(OWN, bundle(OTHER)))), 1),
    "a Bundle in Parameters in a Bundle": (bundle(OWN, parameters(parameter(bundle(OTHER)))), 1),
}


@pytest.mark.parametrize(("answer", "kept"), JUDGED.values(), ids=JUDGED)
async def test_of_each_answer_only_the_own_records_leave(setup: Setup, answer: Any, kept: int) -> None:
    response, _ = await setup.ask(EVERYTHING, answer)
    assert response.status_code == 200
    assert MARK not in response.text
    assert "pat-b" not in response.text
    assert response.text.count('"Observation"') + response.text.count('"Patient","id"') == kept


REFUSED_ANSWERS: dict[str, tuple[str, Any, int, str]] = {
    "one record of another patient": ("/Patient/pat-a/$report", OTHER, 404, "not_found"),
    "an outcome alone": ("/Patient/pat-a/$report", {"resourceType": "OperationOutcome"}, 502, "upstream_malformed"),
    "no resource": ("/Patient/pat-a/$report", {"x": 1}, 502, "upstream_malformed"),
    "a member twice": ("/Patient/pat-a/$report", b'{"resourceType":"Patient","id":"pat-a","id":"pat-b"}', 502, ""),
    "a document with a record of another patient": (
        "/Composition/c-1/$document",
        bundle(COMPOSITION, OTHER, kind="document"),
        404,
        "not_found",
    ),
    "a document with something that states no type": (
        "/Composition/c-1/$document",
        {**bundle(COMPOSITION, kind="document"), "entry": [{"resource": {"note": MARK}}]},
        404,
        "not_found",
    ),
    "a terminology that is a record": ("/CodeSystem/$lookup?code=x", OTHER, 502, "upstream_malformed"),
    "a terminology with a record in it": (
        "/CodeSystem/$lookup?code=x",
        parameters(parameter(OTHER)),
        502,
        "upstream_malformed",
    ),
    "a terminology with a record contained": (
        "/ValueSet/v-1/$expand",
        make_resource("ValueSet", "v-1", contained=[OTHER_PATIENT]),
        502,
        "upstream_malformed",
    ),
    "a terminology with something contained that states no type": (
        "/ValueSet/v-1/$expand",
        make_resource("ValueSet", "v-1", contained=[{"name": MARK}]),
        502,
        "upstream_malformed",
    ),
    "an answer that is not there": (EVERYTHING, ABSENT, 400, "upstream_rejected"),
    "an error that quotes": (
        EVERYTHING,
        (500, {"resourceType": "OperationOutcome", "issue": [{"diagnostics": MARK}]}, {}),
        502,
        "upstream_failed",
    ),
    "a page of another operation": (
        EVERYTHING,
        bundle(OWN, links={"next": "../pat-b/$everything?page=2"}),
        502,
        "upstream_link_unusable",
    ),
}


@pytest.mark.parametrize(("path", "answer", "status", "reason"), REFUSED_ANSWERS.values(), ids=REFUSED_ANSWERS)
async def test_an_answer_is_refused(setup: Setup, path: str, answer: Any, status: int, reason: str) -> None:
    response, _ = await setup.ask(path, answer)
    assert is_refused(response, status, reason or "upstream_malformed")
    assert MARK not in response.text


async def test_a_provenance_comes_with_the_record_that_it_is_about(setup: Setup) -> None:
    own = make_resource("Provenance", "p-a", target=[{"reference": "Observation/a-1"}])
    other = make_resource("Provenance", "p-b", target=[{"reference": "Observation/b-1"}], policy=[MARK])
    response, _ = await setup.ask(EVERYTHING, bundle(OWN, own, other))
    assert [entry["resource"]["id"] for entry in response.json()["entry"]] == ["a-1", "p-a"]
    nested, _ = await setup.ask(EVERYTHING, parameters(parameter(bundle(OWN, own, other))))
    # Nothing is fetched for what stands in Parameters.
    assert [entry["resource"]["id"] for entry in nested.json()["parameter"][0]["resource"]["entry"]] == ["a-1"]


async def test_a_document_has_public_addresses_and_no_links(setup: Setup) -> None:
    base = setup.server.base_url
    urn = "urn:uuid:11111111-1111-4111-8111-111111111111"
    document = {
        **bundle(kind="document", links={"self": f"{base}/Composition/c-1/$document"}),
        "timestamp": "2026-01-01T00:00:00Z",
        "text": MARK,
        "entry": [
            {"fullUrl": f"{base}/Composition/c-1", "resource": COMPOSITION, "link": [{"url": MARK}]},
            {"fullUrl": urn, "resource": OWN},
            {"fullUrl": f"{base}/Patient/pat-b", "resource": OWN_PATIENT},
        ],
    }
    response, _ = await setup.ask("/Composition/c-1/$document", document)
    assert response.json() == {
        "resourceType": "Bundle",
        "type": "document",
        "timestamp": "2026-01-01T00:00:00Z",
        "entry": [
            {"fullUrl": f"{setup.gateway.base_url}/Composition/c-1", "resource": COMPOSITION},
            {"fullUrl": urn, "resource": OWN},
            {"resource": OWN_PATIENT},
        ],
    }


ENVELOPES: dict[str, tuple[Resource, Resource]] = {
    "texts in every member of its own": (
        {
            "id": "smith",
            "meta": {"tag": [{"display": MARK}]},
            "identifier": {"system": MARK, "value": MARK},
            "timestamp": MARK,
            "signature": {"who": {"display": MARK}},
        },
        {},
    ),
    "an identifier with more than its value": (
        {"identifier": {"value": "11111111-1111-4111-8111-111111111111", "assigner": {"display": MARK}}},
        {"identifier": {"system": "urn:ietf:rfc:3986", "value": "11111111-1111-4111-8111-111111111111"}},
    ),
}


@pytest.mark.parametrize(("members", "kept"), ENVELOPES.values(), ids=ENVELOPES)
async def test_a_document_holds_of_its_own_members_none_with_a_text(
    setup: Setup, members: Resource, kept: Resource
) -> None:
    """leak_41"""
    entry = {"fullUrl": f"urn:{MARK}", "resource": COMPOSITION}
    document = {**bundle(kind="document"), **members, "entry": [entry]}
    response, _ = await setup.ask("/Composition/c-1/$document", document)
    whole = {"resourceType": "Bundle", "type": "document", **kept, "entry": [{"resource": COMPOSITION}]}
    assert response.json() == whole


async def test_a_name_of_a_parameter_is_no_place_for_a_text(setup: Setup) -> None:
    """leak_41"""
    named = {"name": "peter-smith", "resource": OWN}
    response, _ = await setup.ask("/Patient/pat-a/$report", parameters(named, parameter(OWN)))
    assert [one.get("name") for one in response.json()["parameter"]] == [None, "return"]


async def test_an_answer_is_bounded(setup: Setup) -> None:
    response, _ = await setup.ask(EVERYTHING, bundle(*[OWN] * 100))
    assert is_refused(response, 502, "upstream_too_large")


async def test_nothing_is_sent_to_a_record_out_of_reach(setup: Setup) -> None:
    hidden, asked = await setup.ask("/Patient/pat-b/$everything", bundle(OTHER))
    absent, _ = await setup.ask("/Patient/never/$everything", bundle(OTHER))
    assert "Patient/pat-b/$everything" not in asked
    assert hidden.content == absent.content
    assert is_refused(hidden, 404, "not_found")


async def test_meta_is_that_of_the_record_and_the_server_is_not_asked_for_it(setup: Setup) -> None:
    response, asked = await setup.ask("/Patient/pat-a/$meta", parameters({"name": "return", "valueString": MARK}))
    assert response.json() == parameters({"name": "return", "valueMeta": {}})
    assert asked == ["Patient/pat-a"]


@pytest.mark.parametrize("encounter", ["Encounter/e-b", "Encounter/never"])
async def test_a_validation_does_not_tell_whether_a_record_exists(setup: Setup, encounter: str) -> None:
    body = {**OWN, "encounter": {"reference": encounter}}
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "diagnostics": MARK}]}
    response, asked = await setup.ask("/Observation/$validate", outcome, "patient/Observation.c", body=body)
    assert is_refused(response, 403, "reference_out_of_reach")
    assert asked == [encounter]
    assert encounter not in response.text


async def test_a_validation_answers_with_what_is_wrong_and_where_without_a_text_of_the_server(setup: Setup) -> None:
    wrong = {"severity": "error", "code": "required"}
    issue = {**wrong, "expression": ["Observation.subject.smith"], "diagnostics": MARK, "details": {"text": MARK}}
    outcome = {"resourceType": "OperationOutcome", "text": {"div": MARK}, "issue": [issue]}
    response, asked = await setup.ask("/Observation/$validate", outcome, "patient/Observation.c", body=OWN)
    bounded = {"resourceType": "OperationOutcome", "issue": [{**wrong, "expression": ["Observation.subject"]}]}
    assert (response.status_code, response.json(), asked) == (200, bounded, ["Observation/$validate"])


async def test_the_texts_of_a_validation_come_where_the_operator_trusts_them(setup: Setup) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "diagnostics": "code is missing"}]}
    body = {**OWN_PATIENT, "id": "pat-a"}
    response, _ = await setup.ask("/Patient/pat-a/$validate", outcome, "patient/Patient.ru", body=body)
    assert (response.status_code, response.json()) == (200, outcome)


async def test_who_reads_everything_is_told_everything(setup: Setup) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "diagnostics": MARK}]}
    response, _ = await setup.ask("/Observation/$validate", outcome, "system/*.cruds", body=OWN)
    assert response.json() == outcome
    message = parameters({"name": "message", "valueString": MARK})
    response, _ = await setup.ask("/CodeSystem/$lookup?code=x&system=urn:x", message, "system/*.cruds")
    assert response.json() == message


async def test_a_terminology_answers_with_its_own_parameters_alone(setup: Setup) -> None:
    display, message = {"name": "display", "valueString": "Male"}, {"name": "message", "valueString": MARK}
    path = "/CodeSystem/$lookup?code=male&system=urn:x"
    response, _ = await setup.ask(path, parameters(display, message), "patient/CodeSystem.r")
    assert (response.status_code, response.json()) == (200, parameters(display))
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "diagnostics": MARK}]}
    response, _ = await setup.ask(path, outcome, "patient/CodeSystem.r")
    assert MARK not in response.text


PAGES = {"the same operation": "?page=2", "the server's own page": "/fhir?_getpages=abc"}


@pytest.mark.parametrize("link", PAGES.values(), ids=PAGES)
async def test_a_page_is_sealed_and_judged_again(setup: Setup, link: str) -> None:
    def script(asked: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        if query:
            return 200, bundle(OTHER, {**OWN, "id": "a-2"}), {}
        answer = bundle(OWN, links={"next": link}) if "$" in asked else RECORDS.get(asked)
        return (200, answer, {}) if answer is not None else ABSENT

    first, _ = await setup.ask_scripted(EVERYTHING, script, "patient/*.rs", None)
    gateway = setup.gateway
    sealed = next(link["url"] for link in first.json()["link"] if link["relation"] == "next")
    assert sealed.startswith(f"{gateway.base_url}/?_page=")
    path = sealed.removeprefix(gateway.base_url)
    second = await gateway.request(path)
    assert [entry["resource"]["id"] for entry in second.json()["entry"]] == ["a-2"]
    assert MARK not in second.text
    assert gateway.telemetry.records[-1].dropped == {"Observation": 1}
    assert is_refused(await gateway.request(path, claims={"patient": "pat-b"}), 404, "page_unknown")


async def test_a_server_that_ignores_the_patient_raises_the_alarm(setup: Setup) -> None:
    response, asked = await setup.ask("/Observation/$lastn?max=1", bundle(OWN, OTHER))
    assert [entry["resource"]["id"] for entry in response.json()["entry"]] == ["a-1"]
    assert asked == ["Observation/$lastn?max=1&patient=Patient/pat-a"]
    assert setup.gateway.telemetry.records[-1].narrowing_misses == {"Observation": 1}


async def test_a_method_that_the_manifest_does_not_name_is_told_which_are(setup: Setup) -> None:
    response, _ = await setup.ask("/Observation/$validate", bundle(), "patient/Observation.c")
    assert is_refused(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"
