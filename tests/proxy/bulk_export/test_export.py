"""An export from its kick-off to its files: what is sent, what comes back, and under which links."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.proxy.bulk_export.exporting_server import (
    KICKOFF_HEADERS,
    OPERATION,
    Answer,
    ExportingServer,
    export,
    exporting_server,
    follow,
    kick_off,
    lines_of,
)
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.scripted_server import make_resource

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENT = make_resource("Patient", "pat-a", active=True)
LABORATORY = make_resource("Observation", "lab", category=[{"coding": [{"code": "laboratory"}]}])
VITAL_SIGN = make_resource("Observation", "vital", category=[{"coding": [{"code": "vital-signs"}]}])
GROUP = make_resource("Group", "g", type="person")
LABORATORY_SCOPE = "system/Observation.rs?category=laboratory"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[ExportingServer, RunningGateway]]:
    folder = tmp_path_factory.mktemp("export")
    async with exporting_server() as server, running_gateway(server.base_url, folder) as gateway:
        yield server, gateway


@pytest.fixture
def server(parts: tuple[ExportingServer, RunningGateway]) -> ExportingServer:
    server = parts[0]
    server.answers.clear()
    server.requests.clear()
    server.answers["GET", "Group/g"] = Answer(200, GROUP)
    output = [{"type": "Patient", "url": server.file("patients", [PATIENT]), "count": 1}]
    output.append({"type": "Observation", "url": server.file("observations", [LABORATORY, VITAL_SIGN]), "count": 2})
    server.complete({"output": output})
    return server


@pytest.fixture
def gateway(parts: tuple[ExportingServer, RunningGateway]) -> RunningGateway:
    return parts[1]


async def test_a_token_for_everything_gets_all_files_through_links_of_the_gateway(
    server: ExportingServer, gateway: RunningGateway
) -> None:
    manifest = await export(gateway)
    assert (manifest["requiresAccessToken"], manifest["request"]) == (True, f"{gateway.base_url}/$export")
    assert [(file["type"], file["count"]) for file in manifest["output"]] == [("Patient", 1), ("Observation", 2)]
    assert server.base_url not in json.dumps(manifest)
    assert [await lines_of(gateway, file) for file in manifest["output"]] == [[PATIENT], [LABORATORY, VITAL_SIGN]]
    assert all("authorization" not in headers for _, _, headers, _ in server.requests)


async def test_types_are_cut_to_those_granted_and_the_answer_and_the_manifest_say_so(
    server: ExportingServer, gateway: RunningGateway
) -> None:
    path, scope = "/$export?_type=Patient,Observation", "system/Patient.rs"
    started = await kick_off(gateway, path, scope)
    assert server.kickoff()[1] == "$export?_type=Patient"
    assert "_type=Observation" in started.json()["issue"][0]["details"]["text"]
    manifest = (await follow(gateway, started.headers["content-location"], scope)).json()
    assert [file["type"] for file in manifest["output"]] == ["Patient"]
    (note,) = await lines_of(gateway, manifest["error"][0], scope)
    assert "_type=Observation" in note["issue"][0]["details"]["text"]


async def test_without_types_those_granted_are_asked_for(server: ExportingServer, gateway: RunningGateway) -> None:
    await kick_off(gateway, "/$export", "system/Patient.rs system/Observation.r system/Observation.s system/Basic.r")
    assert server.kickoff()[1] == "$export?_type=Observation,Patient"


async def test_a_constrained_export_is_narrowed_and_each_line_is_judged(
    server: ExportingServer, gateway: RunningGateway
) -> None:
    manifest = await export(gateway, "/$export", LABORATORY_SCOPE)
    assert server.kickoff()[1] == "$export?_type=Observation&_typeFilter=Observation%3Fcategory%3Dlaboratory"
    (file,) = manifest["output"]
    # The server's number would tell how many are hidden.
    assert "count" not in file
    assert await lines_of(gateway, file, LABORATORY_SCOPE) == [LABORATORY]
    record = gateway.telemetry.records[-1]
    assert (record.kept, record.dropped, record.narrowing_misses) == (1, {"Observation": 1}, {"Observation": 1})


@pytest.mark.parametrize("scope", ["user/*.rs", "patient/*.rs", "system/*.r", "system/*.s", "system/*.cud"])
async def test_an_export_needs_system_scopes_that_read_and_search(
    server: ExportingServer, gateway: RunningGateway, scope: str
) -> None:
    response = await kick_off(gateway, "/$export", scope, claims={"fhirUser": "Practitioner/p"})
    assert (response.status_code, server.requests) == (403, [])
    assert 'scope="system/*.rs"' in response.headers["www-authenticate"]


async def test_no_constraint_is_left_out_by_combining_letters(server: ExportingServer, gateway: RunningGateway) -> None:
    scope = "system/Observation.r?category=laboratory system/Observation.s?category=vital-signs"
    assert (await kick_off(gateway, "/$export", scope)).status_code == 403
    assert not server.requests


async def test_a_kick_off_without_the_wish_for_a_job_is_refused(
    server: ExportingServer, gateway: RunningGateway
) -> None:
    await kick_off(gateway)
    server.requests.clear()
    response = await gateway.request("/$export", "system/*.rs")
    assert (response.status_code, server.requests) == (400, [])
    assert "respond-async" in response.text
    head = await gateway.request("/$export", "system/*.rs", method="HEAD", headers=KICKOFF_HEADERS)
    assert (head.status_code, head.headers["allow"], server.requests) == (405, "GET, POST", [])


@pytest.mark.parametrize(
    "query",
    ["_type=Patient", "_since=2026-01-01T00:00:00Z", "_until=2026-01-01T00:00:00Z", "_elements=id,Patient.name",
     "includeAssociatedData=LatestProvenanceResources", "_typeFilter=Patient%3Factive%3Dtrue"],
)  # fmt: skip
async def test_parameters_of_the_specification_are_sent_as_they_were_understood(
    server: ExportingServer, gateway: RunningGateway, query: str
) -> None:
    assert (await kick_off(gateway, f"/Patient/$export?{query}")).status_code == 202
    assert server.kickoff()[1] == f"Patient/$export?{query}"
    assert server.kickoff()[2]["prefer"] == "respond-async"


@pytest.mark.parametrize(
    "query",
    ["_outputFormat=text/csv", "_since=yesterday", "_typeFilter=Patient", "_typeFilter=Patient%3F_sort%3Dname",
     "_typeFilter=Patient%3F_include%3DPatient%3Aorganization", "_bogus=1", "patient=Patient/pat-a", "_elements=a.b.c",
     "includeAssociatedData=_everything", "_type=Patient&_typeFilter=Observation%3Fcategory%3Dlaboratory",
     "_type=", "_since=2026-01-01T00:00:00Z&_since=2025-01-01T00:00:00Z", "_type=Foo"],
)  # fmt: skip
async def test_other_parameters_are_refused_before_anything_is_sent(
    server: ExportingServer, gateway: RunningGateway, query: str
) -> None:
    response = await kick_off(gateway, f"/Patient/$export?{query}")
    assert (400 <= response.status_code < 500, server.requests) == (True, [])


async def test_a_filter_that_a_search_could_not_have_is_refused(
    server: ExportingServer, gateway: RunningGateway
) -> None:
    path = "/$export?_typeFilter=Patient%3F_has:Observation:patient:code%3Dx"
    assert (await kick_off(gateway, path, "system/Patient.rs")).status_code == 403
    assert not server.requests


async def test_a_filter_of_the_client_is_narrowed_too(server: ExportingServer, gateway: RunningGateway) -> None:
    await kick_off(gateway, "/$export?_typeFilter=Observation%3Fstatus%3Dfinal%252Camended", LABORATORY_SCOPE)
    query = "_typeFilter=Observation%3Fcategory%3Dlaboratory%26status%3Dfinal%252Camended"
    assert server.kickoff()[1] == f"$export?_type=Observation&{query}"


async def test_a_posted_kick_off_names_patients(server: ExportingServer, gateway: RunningGateway) -> None:
    patient = {"name": "patient", "valueReference": {"reference": "Patient/pat-a"}}
    body = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueString": "Patient"}, patient]}
    options: dict[str, Any] = {"json": body, "headers": {"content-type": "application/fhir+json"}, "method": "POST"}
    assert (await kick_off(gateway, "/Patient/$export", **options)).status_code == 202
    method, target, _, sent = server.kickoff()
    assert (method, target, json.loads(sent)) == ("POST", "Patient/$export", body)
    server.requests.clear()
    # Whoever may not see every patient could ask which of them there are.
    response = await kick_off(gateway, "/Patient/$export", "system/Patient.rs?active=true", **options)
    assert (response.status_code, server.requests) == (403, [])
    assert (await kick_off(gateway, "/$export", **options)).status_code == 400


async def test_the_group_of_an_export_must_be_visible(server: ExportingServer, gateway: RunningGateway) -> None:
    scope = "system/Patient.rs system/Group.rs?type=person"
    assert (await kick_off(gateway, "/Group/g/$export", scope)).status_code == 202
    assert (await kick_off(gateway, "/Group/other/$export", scope)).status_code == 404
    server.answers["GET", "Group/g"] = Answer(200, {**GROUP, "type": "animal"})
    server.requests.clear()
    hidden = await kick_off(gateway, "/Group/g/$export", scope)
    absent = await kick_off(gateway, "/Group/other/$export", scope)
    assert (hidden.status_code, hidden.json()) == (404, absent.json())
    assert not [target for _, target, _, _ in server.requests if "$export" in target]
    unscoped = await kick_off(gateway, "/Group/g/$export", "system/Patient.rs")
    assert (unscoped.status_code, 'scope="system/Group.r"' in unscoped.headers["www-authenticate"]) == (403, True)


async def test_the_state_of_a_job_is_passed_on_within_bounds(server: ExportingServer, gateway: RunningGateway) -> None:
    job = (await kick_off(gateway)).headers["content-location"]
    server.answers["GET", "jobs/1"] = Answer(202, b"", {"x-progress": "37 of 100", "retry-after": "999999999"})
    running = await follow(gateway, job)
    assert (running.status_code, running.headers["x-progress"], running.headers["retry-after"]) == (
        202, "37 of 100", "3600",
    )  # fmt: skip
    server.answers["GET", "jobs/1"] = Answer(202, b"", {"retry-after": "0"})
    assert (await follow(gateway, job)).headers["retry-after"] == "1"
    # The number of all records would tell how many are hidden.
    job = (await kick_off(gateway, "/$export", LABORATORY_SCOPE)).headers["content-location"]
    for told, passed in (("37 of 100 Observations", "in progress"), ("exporting, 42%", "exporting, 42%")):
        server.answers["GET", "jobs/1"] = Answer(202, b"", {"x-progress": told})
        assert (await follow(gateway, job, LABORATORY_SCOPE)).headers["x-progress"] == passed


async def test_a_job_is_ended_by_its_link(server: ExportingServer, gateway: RunningGateway) -> None:
    server.answers["DELETE", "jobs/1"] = Answer(202)
    job = (await kick_off(gateway)).headers["content-location"]
    assert (await follow(gateway, job, method="DELETE")).status_code == 202
    assert ("DELETE", "jobs/1") in [request[:2] for request in server.requests]
    del server.answers["GET", "jobs/1"], server.answers["DELETE", "jobs/1"]
    assert (await follow(gateway, job)).json()["issue"][0]["details"]["coding"][0]["code"] == "export_unknown"
    assert (await follow(gateway, job, method="DELETE")).status_code == 404


@pytest.mark.parametrize(
    ("claims", "scope"),
    [
        ({"client_id": "another"}, "system/*.rs"),
        ({"sub": "another"}, "system/*.rs"),
        ({"patient": "pat-b"}, "system/*.rs"),
        ({}, "system/*.rs openid"),
    ],
)
async def test_leak_21_links_of_another_grant_are_unknown(
    server: ExportingServer, gateway: RunningGateway, claims: dict[str, Any], scope: str
) -> None:
    job = (await kick_off(gateway)).headers["content-location"]
    file = (await follow(gateway, job)).json()["output"][0]["url"]
    server.requests.clear()
    for url in (job, file):
        for method in ("GET", "DELETE") if url == job else ("GET",):
            response = await follow(gateway, url, scope, method=method, claims=claims)
            assert (response.status_code, server.requests) == (404, [])
    forged = f"{gateway.base_url}/$export-file?_file=" + job.partition("=")[2]
    assert (await follow(gateway, forged)).status_code == 404
    assert (await follow(gateway, f"{file}A")).status_code == 404
    assert (await gateway.request(file.removeprefix(gateway.base_url), None)).status_code == 401


async def test_deletions_are_known_of_whole_types_only(server: ExportingServer, gateway: RunningGateway) -> None:
    urls = ["Patient/p", "Observation/o", "Condition/c", "Patient?name=x", "../Patient/p"]
    entries = [{"request": {"method": "DELETE", "url": url}, "resource": PATIENT} for url in urls]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    server.complete({"deleted": [{"type": "Bundle", "url": server.file("deleted", [bundle, {"a": 1}, bundle])}]})
    scope = f"system/Patient.rs {LABORATORY_SCOPE}"
    manifest = await export(gateway, "/$export", scope)
    kept = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": "Patient/p"}}],
    }
    assert await lines_of(gateway, manifest["deleted"][0], scope) == [kept, kept]


async def test_messages_of_the_server_lose_their_text(server: ExportingServer, gateway: RunningGateway) -> None:
    issue = {"severity": "error", "code": "processing", "diagnostics": "Patient/secret failed"}
    named = {"severity": ["error"], "code": "smith"}
    url = server.file("errors", [{"resourceType": "OperationOutcome", "issue": [issue, named]}])
    server.complete({"error": [{"type": "OperationOutcome", "url": url}]})
    manifest = await export(gateway, "/$export", "system/Patient.rs")
    expected = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing"}] * 2}
    assert await lines_of(gateway, manifest["error"][0], "system/Patient.rs") == [expected]


async def test_an_import_is_refused(server: ExportingServer, gateway: RunningGateway) -> None:
    body = {"resourceType": "Parameters"}
    response = await gateway.request("/$import", "system/*.cruds", method="POST", json=body, headers=KICKOFF_HEADERS)
    assert (response.status_code >= 400, server.requests) == (True, [])


async def test_the_statement_lists_exports_where_they_are_allowed(gateway: RunningGateway, tmp_path: Path) -> None:
    (rest,) = (await gateway.request("/metadata", None)).json()["rest"]
    assert (rest["operation"], rest["resource"][0]["operation"]) == ([OPERATION], [OPERATION])
    async with exporting_server() as server, running_gateway(
        server.base_url, tmp_path, bulk_export={"allow": False}
    ) as refusing:  # fmt: skip
        assert "export" not in (await refusing.request("/metadata", None)).text


async def test_exports_can_be_switched_off(tmp_path: Path) -> None:
    async with exporting_server() as server, running_gateway(
        server.base_url, tmp_path, bulk_export={"allow": False}
    ) as gateway:  # fmt: skip
        assert (await kick_off(gateway)).status_code == 403
        assert not [target for _, target, _, _ in server.requests if "$export" in target]


async def test_links_expire(tmp_path: Path) -> None:
    async with exporting_server() as server, running_gateway(
        server.base_url, tmp_path, bulk_export={"link_lifetime_seconds": 1}
    ) as gateway:  # fmt: skip
        server.complete({})
        job = (await kick_off(gateway)).headers["content-location"]
        while (response := await follow(gateway, job)).status_code == 200:
            pass
        assert response.status_code == 404
