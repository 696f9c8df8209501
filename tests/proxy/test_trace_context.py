"""The trace of a client goes on at the FHIR server (W3C Trace Context), as far as it is well formed."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ScriptedResponse, bundle, make_resource, scripted_server

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b8-00"
PATIENT = make_resource("Patient", "pat-a")


class Seen:
    """A FHIR server that remembers the headers of a trace."""

    def __init__(self) -> None:
        self.headers: list[tuple[str | None, str | None]] = []

    def __call__(self, path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        self.headers.append((headers.get("traceparent"), headers.get("tracestate")))
        return (200, bundle(PATIENT) if query else PATIENT, {})


@pytest.mark.parametrize("path", ["/Patient/pat-a", "/Patient?_id=pat-a"])
async def test_a_trace_is_passed_on_and_each_request_has_its_own(path: str, tmp_path: Path) -> None:
    seen = Seen()
    async with scripted_server(seen) as server, running_gateway(server.base_url, tmp_path) as gateway:
        for sent in (TRACE, OTHER, None, TRACE):
            headers = {"traceparent": sent, "tracestate": "vendor=text"} if sent else {}
            response = await gateway.request(path, headers=headers)
            assert response.status_code == 200
        state = "vendor=text"
        assert seen.headers == [(TRACE, state), (OTHER, state), (None, None), (TRACE, state)]


async def test_the_entries_of_a_batch_are_in_its_trace(tmp_path: Path) -> None:
    seen = Seen()
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": "Patient/pat-a"}}] * 2,
    }
    async with scripted_server(seen) as server, running_gateway(server.base_url, tmp_path) as gateway:
        headers = {"traceparent": TRACE, "content-type": "application/fhir+json"}
        response = await gateway.request("", method="POST", json=batch, headers=headers)
        assert response.status_code == 200
        assert seen.headers == [(TRACE, None)] * 2


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param("", id="nothing"),
        pytest.param(TRACE.upper(), id="capital letters"),
        pytest.param("01" + TRACE[2:], id="a version that is not known"),
        pytest.param("00-" + "0" * 32 + TRACE[35:], id="no trace"),
        pytest.param(TRACE[:36] + "0" * 16 + "-01", id="no span"),
        pytest.param(TRACE + "-x", id="more than there is"),
        pytest.param(f"{TRACE}, {OTHER}", id="two"),
        pytest.param("Patient/pat-b", id="another text"),
    ],
)
async def test_anything_else_is_not_passed_on(sent: str, tmp_path: Path) -> None:
    seen = Seen()
    async with scripted_server(seen) as server, running_gateway(server.base_url, tmp_path) as gateway:
        await gateway.request("/Patient/pat-a", headers={"traceparent": sent})
        assert seen.headers == [(None, None)]
