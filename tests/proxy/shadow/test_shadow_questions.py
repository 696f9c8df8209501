"""What shadow mode asks the FHIR server for, and that no failure of its judgement keeps an app from its answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.policy.reasons import Reason
from tests.proxy.leaked_marks import ids_in
from tests.proxy.scripted_server import ABSENT, ScriptedResponse, bundle, make_resource, scripted_server
from tests.proxy.shadow.shadow_gateways import ask_and_look, entries, shadow_gateway

PATIENT = make_resource("Patient", "pat-b", meta={"versionId": "2"})
OWN = make_resource("Observation", "own", status="final", subject={"reference": "Patient/pat-a"})
OTHER = make_resource("Observation", "other", status="final", subject={"reference": "Patient/pat-b"})
BINARY = make_resource("Binary", "b", contentType="text/plain", data="", securityContext={"reference": "Patient/pat-b"})

QUESTIONS = {
    "a read": ("/Patient/pat-b", "patient/*.rs", ["Patient/pat-b"]),
    "a read that a scope lacks": ("/Patient/pat-b", "openid", ["Patient/pat-b"]),
    "a search": ("/Observation?status=final", "patient/*.rs", ["Observation?status=final"]),
    "a search for elements": (
        "/Observation?status=final&_elements=status",
        "patient/*.rs",
        ["Observation?status=final"],
    ),
    "a search that a scope lacks": ("/Observation?status=final", "openid", ["Observation?status=final"]),
    "a version, whose current one must be visible": (
        "/Patient/pat-b/_history/1",
        "patient/*.rs",
        ["Patient/pat-b/_history/1", "Patient/pat-b"],
    ),
    "a Binary, which is asked for under enforcement before": (
        "/Binary/b",
        "patient/*.rs",
        ["Binary/b", "Binary/b", "Patient/pat-b", "Binary/b"],
    ),
}


def _script(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
    del query, headers
    answers: dict[str, Any] = {
        "Patient/pat-b": PATIENT,
        "Patient/pat-b/_history/1": PATIENT | {"meta": {"versionId": "1"}},
        "Observation": bundle(OWN, OTHER),
        "Binary/b": BINARY,
    }
    return (200, answers[path], {}) if path in answers else ABSENT


@pytest.mark.parametrize(("path", "scope", "asked"), QUESTIONS.values(), ids=QUESTIONS)
async def test_most_requests_cost_the_server_one_question(
    tmp_path: Path, path: str, scope: str, asked: list[str]
) -> None:
    async with (
        scripted_server(_script) as server,
        shadow_gateway(server.base_url, tmp_path, shadow=entries()) as gateway,
    ):
        server.requests.clear()
        response, record = await ask_and_look(gateway, path, scope, headers={"accept": "*/*"})
        assert response.status_code == 200, response.text
        assert record.shadow is not None
        assert [question for question in server.requests if question != "metadata"] == asked


FAILURES = {
    "the version that must be visible cannot be read": ("/Patient/pat-b/_history/1", Reason.UPSTREAM_FAILED),
    "the record of a Provenance cannot be read": ("/Provenance/p", Reason.UPSTREAM_FAILED),
}


@pytest.mark.parametrize(("path", "reason"), FAILURES.values(), ids=FAILURES)
async def test_a_failure_of_the_judgement_is_recorded_and_the_app_has_its_answer(
    tmp_path: Path, path: str, reason: Reason
) -> None:
    def script(asked: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        del query, headers
        provenance = make_resource("Provenance", "p", target=[{"reference": "Observation/own"}])
        answers: dict[str, Any] = {
            "Patient/pat-b/_history/1": PATIENT | {"meta": {"versionId": "1"}},
            "Provenance/p": provenance,
        }
        return (200, answers[asked], {}) if asked in answers else (500, {"resourceType": "OperationOutcome"}, {})

    async with (
        scripted_server(script) as server,
        shadow_gateway(server.base_url, tmp_path, shadow=entries()) as gateway,
    ):
        response, record = await ask_and_look(gateway, path)
        assert response.status_code == 200, response.text
        assert record.shadow is not None
        assert record.shadow.reason is reason


async def test_links_and_urls_of_the_server_are_rewritten(tmp_path: Path) -> None:
    def script(asked: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        del query, headers
        absolute = make_resource(
            "Observation", "other", status="final", subject={"reference": f"{server.base_url}/Patient/pat-b"}
        )
        links = {"next": f"{server.base_url}/Observation?cursor=2", "first": "http://elsewhere.example/Observation"}
        page = bundle(absolute, links=links) | {"total": 7}
        hops = {"server": "hidden", "set-cookie": "a=b", "x-internal": "1", "etag": 'W/"hidden"'}
        return (200, page, hops) if asked == "Observation" else ABSENT

    async with (
        scripted_server(script) as server,
        shadow_gateway(server.base_url, tmp_path, shadow=entries()) as gateway,
    ):
        response, _ = await ask_and_look(gateway, "/Observation")
        assert ids_in(response) == {"Observation/other"}
        assert response.json()["total"] == 7
        assert server.base_url not in response.text
        assert "elsewhere.example" not in response.text
        assert not {"set-cookie", "x-internal", "etag"} & set(response.headers)
        assert "hidden" not in str(response.headers)
