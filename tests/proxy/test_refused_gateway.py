"""A 401 or 403 of the FHIR server that is meant for the gateway is a 502; one that is meant for a record is a 404.

The gateway finds out by asking for a record that does not exist (enforcement.md 8, leak_30).
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.proxy.leaked_marks import ids_in, is_refused
from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ABSENT, ScriptedResponse, bundle, make_resource, scripted_server
from tests.servers.people import Resource

A = {"reference": "Patient/pat-a"}
OWN = make_resource("Observation", "own", status="final", code={"text": "x"}, subject=A)
BINARY = make_resource("Binary", "x", contentType="text/plain", data="YQ==")
OF_PATIENT = {**BINARY, "securityContext": A}
PROVENANCE = make_resource("Provenance", "p", target=[{"reference": "Observation/own"}])

READS = [
    "/Observation/own",
    "/Observation/own/_history/1",
    "/Observation/own/_history",
    "/Binary/x",
    "/Binary/x/_history/1",
    "/Provenance/p",
    "/Observation",
    "/Observation/_history",
    "/?_type=Observation",
]


@pytest.mark.parametrize("status", [401, 403, 407])
@pytest.mark.parametrize("scope", ["patient/*.rs", "system/*.rs"])
@pytest.mark.parametrize("path", READS)
async def test_a_server_that_refuses_the_gateway_everything_is_502(
    tmp_path: Path, path: str, scope: str, status: int
) -> None:
    script = lambda *_: (status, ABSENT[1], {"www-authenticate": "Basic"})  # noqa: E731
    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        for accept in ("application/fhir+json", "*/*"):
            response = await gateway.request(path, scope, headers={"accept": accept})
            assert is_refused(response, 502, "upstream_refused")
            assert gateway.telemetry.records[-1].reason == "upstream_refused"
            assert "www-authenticate" not in response.headers


@pytest.mark.parametrize("path", ["/Observation/own", "/Observation/own/_history/1", "/Observation/own/_history"])
async def test_a_server_that_refuses_the_gateway_one_record_tells_nothing_by_it(tmp_path: Path, path: str) -> None:
    def script(asked: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        return (403, ABSENT[1], {}) if "own" in asked else ABSENT

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request(path)
        absent = await gateway.request(path.replace("own", "none"))
        assert is_refused(response, 404, "not_found")
        assert response.content == absent.content


# The record that exists, and the type that the server refuses the gateway.
VOUCHERS: dict[str, tuple[Resource, str]] = {
    "the security context of a Binary": (OF_PATIENT, "Patient"),
    "the document of a Binary": (BINARY, "DocumentReference"),
    "the target of a Provenance": (PROVENANCE, "Observation"),
}


@pytest.mark.parametrize(("resource", "refused"), VOUCHERS.values(), ids=VOUCHERS)
async def test_a_refusal_of_what_would_vouch_does_not_tell_that_there_is_something_to_vouch_for(
    tmp_path: Path, resource: Resource, refused: str
) -> None:
    def script(asked: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        if asked.partition("/")[0] == refused:
            return 403, ABSENT[1], {}
        return (200, resource, {}) if asked == f"{resource['resourceType']}/{resource['id']}" else ABSENT

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        path = f"/{resource['resourceType']}"
        response, absent = [await gateway.request(f"{path}/{name}") for name in (resource["id"], "none")]
        assert is_refused(response, 404, "not_found")
        assert response.content == absent.content


async def test_a_page_does_not_fail_because_the_target_of_a_provenance_is_refused(tmp_path: Path) -> None:
    def script(asked: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        if "/" in asked:
            return 403, ABSENT[1], {}
        page = bundle(OWN, {**PROVENANCE, "target": [{"reference": "Observation/other"}]})
        page["entry"][1]["search"] = {"mode": "include"}
        return 200, page, {}

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request("/Observation?_revinclude=Provenance:target")
        assert ids_in(response) == {"Observation/own"}


async def test_a_permitted_read_asks_for_no_record_that_does_not_exist(tmp_path: Path) -> None:
    script = lambda path, *_: (200, OWN, {}) if path == "Observation/own" else ABSENT  # noqa: E731
    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        assert (await gateway.request("/Observation/own")).status_code == 200
        assert (await gateway.request("/Observation/none")).status_code == 404
        assert [path for path in server.requests if path != "metadata"] == ["Observation/own", "Observation/none"]
