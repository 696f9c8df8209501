"""A Binary without an owner is shown by a record that it is attached to, if that belongs to whom the token reaches."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ABSENT, ScriptedResponse, bundle, make_resource, scripted_server
from tests.servers.people import Resource

BINARY = make_resource("Binary", "x", contentType="text/plain", data="YQ==")
URL = {"url": "Binary/x"}
ELEMENTS: dict[str, Any] = {
    "DocumentReference": {"content": [{"attachment": {"url": "Binary/other"}}, {"attachment": URL}]},
    "Media": {"content": URL},
    "DiagnosticReport": {"presentedForm": [{"url": "Binary/other"}, URL]},
}


def record(resource_type: str, patient: str = "pat-a", **elements: Any) -> Resource:
    return make_resource(
        resource_type, "r", subject={"reference": f"Patient/{patient}"}, **{**ELEMENTS[resource_type], **elements}
    )


CASES: dict[str, tuple[Resource, str, int]] = {
    "a document": (record("DocumentReference"), "patient/*.rs", 200),
    "a photo": (record("Media"), "patient/*.rs", 200),
    "a report": (record("DiagnosticReport"), "patient/*.rs", 200),
    "a report, for a token that finds reports alone": (
        record("DiagnosticReport"),
        "patient/Binary.r patient/DiagnosticReport.s",
        200,
    ),
    "a report that the token may not find": (
        record("DiagnosticReport"),
        "patient/Binary.r patient/DiagnosticReport.r",
        404,
    ),
    "a report that another scope shows": (
        record("DiagnosticReport", "pat-b"),
        "patient/Binary.r system/DiagnosticReport.rs",
        404,
    ),
    "a photo of another patient": (record("Media", "pat-b"), "patient/*.rs", 404),
    "a report with another attachment": (
        record("DiagnosticReport", presentedForm=[{"url": "Binary/other"}]),
        "patient/*.rs",
        404,
    ),
    "a report with another version of it": (
        record("DiagnosticReport", presentedForm=[{"url": "Binary/x/_history/9"}]),
        "patient/*.rs",
        404,
    ),
    "a report with a text in that place": (record("DiagnosticReport", presentedForm="Binary/x"), "patient/*.rs", 404),
}


@pytest.mark.parametrize(("found", "scope", "status"), CASES.values(), ids=CASES)
async def test_it_is_attached_to(tmp_path: Path, found: Resource, scope: str, status: int) -> None:
    def script(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        if path == "Binary/x":
            return 200, BINARY, {}
        return (200, bundle(*([found] if path == found["resourceType"] else [])), {}) if "/" not in path else ABSENT

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        assert (await gateway.request("/Binary/x", scope)).status_code == status


async def test_that_the_server_does_not_know_one_kind_of_record_hides_nothing(tmp_path: Path) -> None:
    def script(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        if path == "Binary/x":
            return 200, BINARY, {}
        if path == "DiagnosticReport":
            return 200, bundle(record("DiagnosticReport")), {}
        return (200, bundle(), {}) if path == "DocumentReference" else (400, {}, {})

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        assert (await gateway.request("/Binary/x")).status_code == 200
