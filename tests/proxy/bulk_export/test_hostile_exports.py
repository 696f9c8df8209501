"""Exports of a FHIR server that is wrong or worse: nothing leaves that may not be exported, or ends as if complete."""

import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.proxy.bulk_export.exporting_server import (
    NDJSON,
    Answer,
    ExportingServer,
    export,
    exporting_server,
    follow,
    kick_off,
    lines_of,
)
from tests.proxy.leaked_marks import find_leaks
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.scripted_server import make_resource
from tests.servers.people import B_MARKER

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCOPE = "system/Observation.rs?status=final"
LIMITS: dict[str, Any] = {"upstream": {"max_verified_body_bytes": 20_000}, "bulk_export": {"max_file_bytes": 2_000_000}}
HIDDEN = {"code": {"text": B_MARKER}}
SHOWN = make_resource("Observation", "shown", status="final")


def encode(resource: Any) -> bytes:
    return json.dumps(resource, separators=(",", ":")).encode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[ExportingServer, RunningGateway]]:
    folder = tmp_path_factory.mktemp("hostile-export")
    async with exporting_server() as server, running_gateway(server.base_url, folder, **LIMITS) as gateway:
        yield server, gateway


@pytest.fixture
def server(parts: tuple[ExportingServer, RunningGateway]) -> ExportingServer:
    parts[0].answers.clear()
    parts[0].requests.clear()
    return parts[0]


@pytest.fixture
def gateway(parts: tuple[ExportingServer, RunningGateway]) -> RunningGateway:
    return parts[1]


async def file_of(server: ExportingServer, gateway: RunningGateway, answer: Answer) -> str:
    """The gateway's link to a file of Observations."""
    server.answers["GET", "files/1"] = answer
    server.complete({"output": [{"type": "Observation", "url": f"{server.base_url}/files/1"}]})
    url: str = (await export(gateway, "/$export", SCOPE))["output"][0]["url"]
    return url


PRELIMINARY = make_resource("Observation", "hidden", status="preliminary", **HIDDEN)
OTHER_TYPE = make_resource("Patient", "pat-b", status="final", **HIDDEN)
HOSTILE_LINES: dict[str, bytes] = {
    "another state": encode(PRELIMINARY),
    "another type": encode(OTHER_TYPE),
    "a type that R4 does not have": encode({**OTHER_TYPE, "resourceType": "Secret"}),
    "no type": encode({"id": "x", "status": "final", **HIDDEN}),
    "a type twice": encode(OTHER_TYPE)[:-1] + b',"resourceType":"Observation"}',
    "a type twice, the last one first": b'{"resourceType":"Observation",' + encode(OTHER_TYPE)[1:],
    "a state twice": encode(PRELIMINARY)[:-1] + b',"status":"final"}',
    "a state twice, once with an escape": encode(PRELIMINARY)[:-1] + b',"st\\u0061tus":"final"}',
    "a state twice, with spaces": encode(PRELIMINARY)[:-1] + b' , "status" : "final"}',
    "a state in a nested object": encode({**PRELIMINARY, "note": [{"status": "final"}]}),
    "a nested resource": encode({**SHOWN, "subject": {"reference": "x", "resource": OTHER_TYPE}}),
    "a nested resource with an escape": encode({**SHOWN, "note": [OTHER_TYPE]}).replace(
        b'"resourceType":"P', b'"resourceT\\u0079pe":"P'
    ),
    "broken JSON": encode(PRELIMINARY)[:-1],
    "two resources": encode(SHOWN) + encode(PRELIMINARY),
    "two resources and a space": encode(SHOWN) + b" " + encode(PRELIMINARY),
    "an array": b"[" + encode(PRELIMINARY) + b"]",
    "text": B_MARKER.encode(),
    "bytes that are not UTF-8": encode(PRELIMINARY).replace(b'"hidden"', b'"hidden\xff"'),
    "allowed but not UTF-8": encode({**SHOWN, **HIDDEN}).replace(b'"shown"', b'"shown\xff"'),
    # Deeper than the decoder of any Python version reads.
    "deep nesting": b'{"resourceType":"Observation","status":"final","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "longer than any line that is read": encode({**PRELIMINARY, "note": [{"text": "x" * 700_000}]}),
    "permitted but too long": encode({**SHOWN, **HIDDEN, "note": [{"text": "x" * 700_000}]}),
}  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE_LINES.values(), ids=HOSTILE_LINES)
@pytest.mark.parametrize("size", [1_000_000, 7], ids=["whole", "in pieces"])
async def test_a_line_that_may_not_leave_is_dropped_and_counted(
    server: ExportingServer, gateway: RunningGateway, hostile: bytes, size: int
) -> None:
    if size < 100 and len(hostile) > 10_000:
        size = 50_000
    body = b"".join(line + b"\n" for line in (encode(SHOWN), hostile, encode(SHOWN)))
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    url = await file_of(server, gateway, Answer(200, pieces, {"content-type": NDJSON}))
    response = await follow(gateway, url, SCOPE)
    assert find_leaks(response) == []
    assert [json.loads(line) for line in response.text.splitlines()] == [SHOWN, SHOWN]
    assert (gateway.telemetry.records[-1].kept, sum(gateway.telemetry.records[-1].dropped.values())) == (2, 1)


async def test_a_resource_over_two_lines_is_dropped(server: ExportingServer, gateway: RunningGateway) -> None:
    parts = encode({**PRELIMINARY, "x": [1, 2]}).split(b",2]")
    body = b"\n".join([encode(SHOWN), parts[0], b",2]" + parts[1], encode(SHOWN) + encode(SHOWN), b""])
    url = await file_of(server, gateway, Answer(200, body, {"content-type": NDJSON}))
    assert await lines_of(gateway, {"url": url}, SCOPE) == [SHOWN]


async def test_kept_lines_leave_as_the_bytes_that_came_and_without_the_servers_address(
    server: ExportingServer, gateway: RunningGateway
) -> None:
    line = (
        '{"resourceType":"Observation","status":"final","valueQuantity":{"value":1.10},"note":[{"text":"ü\\"\\u00fc"}]}'
    )
    reference = encode({**SHOWN, "subject": {"reference": f"{server.base_url}/Patient/p"}})
    body = f"{line}\n".encode() + reference
    url = await file_of(server, gateway, Answer(200, body, {"content-type": NDJSON}))
    response = await follow(gateway, url, SCOPE)
    assert response.content.splitlines()[0] == line.encode()
    assert response.content.splitlines()[1] == reference.replace(server.base_url.encode(), gateway.base_url.encode())


def endless(line: bytes) -> Callable[[], Iterable[bytes]]:
    """More than the limit of a file."""
    return lambda: itertools.repeat(line, 3_000_000 // len(line))


BROKEN_OFF: dict[str, Answer] = {
    "broken off between lines": Answer(200, [encode(SHOWN) + b"\n"], {"content-type": NDJSON}, broken_off=True),
    "broken off in a line": Answer(200, [encode(SHOWN)[:20]], {"content-type": NDJSON}, broken_off=True),
    "ended in a line": Answer(200, [encode(SHOWN) + b"\n", encode(SHOWN)[:20]], {"content-type": NDJSON}),
    "without an end": Answer(200, endless((encode(SHOWN) + b"\n") * 100), {"content-type": NDJSON}),
    "a line without an end": Answer(200, endless(b"x" * 10_000), {"content-type": NDJSON}),
}


@pytest.mark.parametrize("scope", [SCOPE, "system/*.rs"])
@pytest.mark.parametrize("answer", BROKEN_OFF.values(), ids=BROKEN_OFF)
async def test_a_file_that_breaks_off_ends_in_an_error(
    server: ExportingServer, gateway: RunningGateway, answer: Answer, scope: str
) -> None:
    if scope == "system/*.rs" and answer is BROKEN_OFF["ended in a line"]:
        return  # what is passed on unread cannot be found wanting
    server.answers["GET", "files/1"] = answer
    server.complete({"output": [{"type": "Observation", "url": f"{server.base_url}/files/1"}]})
    url = (await export(gateway, "/$export", scope))["output"][0]["url"]
    with pytest.raises(httpx2.RemoteProtocolError):
        await follow(gateway, url, scope)
    assert gateway.telemetry.records[-1].reason in {"upstream_unreachable", "upstream_malformed", "upstream_too_large"}


NO_FILES: dict[str, Answer] = {
    "another content type": Answer(200, encode(PRELIMINARY), {"content-type": "application/fhir+json"}),
    "no content type": Answer(200, encode(PRELIMINARY), {"content-type": ""}),
    "a content coding": Answer(200, encode(PRELIMINARY), {"content-type": NDJSON, "content-encoding": "gzip"}),
    "a declared size above the limit": Answer(
        200, b"x" * 3_000_000, {"content-type": NDJSON, "content-length": "3000000"}
    ),
    "an error with a body": Answer(500, encode(PRELIMINARY)),
    "a redirection to another host": Answer(302, b"", {"location": "http://storage.example/x"}),
    "a redirection to another port": Answer(302, b"", {"location": "http://127.0.0.1:9/files/1"}),
    "a redirection to itself": Answer(302, b"", {"location": "/fhir/files/1"}),
    "a redirection without a place": Answer(302, b""),
    "gone": Answer(410),
}


@pytest.mark.parametrize("answer", NO_FILES.values(), ids=NO_FILES)
async def test_what_is_no_file_is_refused(server: ExportingServer, gateway: RunningGateway, answer: Answer) -> None:
    response = await follow(gateway, await file_of(server, gateway, answer), SCOPE)
    assert (response.status_code in {404, 502}, find_leaks(response)) == (True, [])


async def test_a_redirection_within_the_server_is_followed(server: ExportingServer, gateway: RunningGateway) -> None:
    server.file("2", [SHOWN])
    url = await file_of(server, gateway, Answer(307, b"", {"location": f"{server.base_url}/files/2"}))
    assert await lines_of(gateway, {"url": url}, SCOPE) == [SHOWN]


MANIFESTS: dict[str, Any] = {
    "a file of another host": {"output": [{"type": "Observation", "url": "http://evil.example/fhir/files/1"}]},
    "a file of another port": {"output": [{"type": "Observation", "url": "http://127.0.0.1:9/x"}]},
    "a file with a password": {"output": [{"type": "Observation", "url": "http://u:p@127.0.0.1/fhir/files/1"}]},
    "a file above the base": {"output": [{"type": "Observation", "url": "BASE/../x"}]},
    "a file above the base, encoded": {"output": [{"type": "Observation", "url": "BASE/%2e%2e/x"}]},
    "a file with a line end": {"output": [{"type": "Observation", "url": "BASE/x\r\ny"}]},
    "a file of another scheme": {"output": [{"type": "Observation", "url": "file:///etc/passwd"}]},
    "a file without a place": {"output": [{"type": "Observation"}]},
    "an error file of another host": {"error": [{"type": "OperationOutcome", "url": "http://evil.example/x"}]},
    "deletions of another host": {"deleted": [{"type": "Bundle", "url": "http://evil.example/x"}]},
    "a further part": {"link": [{"relation": "next", "url": "BASE/jobs/2"}]},
    "a time that is none": {"transactionTime": B_MARKER},
    "an output that is none": {"output": B_MARKER},
}


@pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=MANIFESTS)
async def test_a_manifest_that_cannot_be_followed_as_a_whole_is_refused(
    server: ExportingServer, gateway: RunningGateway, manifest: Any
) -> None:
    server.complete(json.loads(json.dumps(manifest).replace("BASE", server.base_url)))
    job = (await kick_off(gateway, "/$export", SCOPE)).headers["content-location"]
    response = await follow(gateway, job, SCOPE)
    assert (response.status_code, find_leaks(response)) == (502, [])
    assert "evil" not in response.text


async def test_files_of_types_that_nobody_granted_are_left_out(
    server: ExportingServer, gateway: RunningGateway
) -> None:
    files = [{"type": name, "url": server.file(name, [SHOWN])} for name in ("Observation", "Patient", "Secret")]
    server.complete({"output": files, "message": B_MARKER, "extension": {"x": B_MARKER}})
    manifest = await export(gateway, "/$export", SCOPE)
    assert ([file["type"] for file in manifest["output"]], B_MARKER in json.dumps(manifest)) == (["Observation"], False)
    assert gateway.telemetry.records[-1].dropped == {"Patient": 1, "Secret": 1}


LOCATIONS = {
    "none": {},
    "another host": {"content-location": "http://evil.example/fhir/jobs/1"},
    "another port": {"content-location": "http://127.0.0.1:9/jobs/1"},
    "no URL": {"content-location": "jobs 1"},
}


@pytest.mark.parametrize("headers", LOCATIONS.values(), ids=LOCATIONS)
async def test_a_job_at_another_place_is_refused(
    server: ExportingServer, gateway: RunningGateway, headers: dict[str, str]
) -> None:
    server.answers["GET", "$export"] = Answer(202, b"", headers)
    response = await kick_off(gateway)
    assert (response.status_code, "content-location" in response.headers) == (502, False)


@pytest.mark.parametrize(
    ("status", "expected"), [(200, 502), (400, 400), (401, 502), (404, 404), (429, 503), (500, 502)]
)
async def test_a_kick_off_that_fails_is_refused_without_the_servers_words(
    server: ExportingServer, gateway: RunningGateway, status: int, expected: int
) -> None:
    server.answers["GET", "$export"] = Answer(status, encode(PRELIMINARY))
    response = await kick_off(gateway)
    assert (response.status_code, find_leaks(response)) == (expected, [])


async def test_files_of_a_storage_are_fetched_without_credentials_where_the_operator_names_it(tmp_path: Path) -> None:
    async with exporting_server() as server, exporting_server() as storage:
        root = storage.base_url.removesuffix("/fhir")
        settings: dict[str, Any] = {
            "bulk_export": {"file_bases": [f"{root}/fhir/files"]},
            "upstream": {"authentication": {"kind": "bearer", "token": "secret-of-the-gateway"}},
        }
        async with running_gateway(server.base_url, tmp_path, **settings) as gateway:
            storage.file("1", [SHOWN, PRELIMINARY], **{"content-type": "binary/octet-stream"})
            signed = f"{root}/fhir/files/1?X-Signature=a%2Fb&X-Expires=60"
            server.complete({"output": [{"type": "Observation", "url": signed}]})
            manifest = await export(gateway, "/$export", SCOPE)
            assert await lines_of(gateway, manifest["output"][0], SCOPE) == [SHOWN]
            ((method, target, headers, _),) = storage.requests
            assert (method, target) == ("GET", "files/1?X-Signature=a%2Fb&X-Expires=60")
            assert "authorization" not in headers
            assert server.requests[-1][2]["authorization"] == "Bearer secret-of-the-gateway"
            server.complete({"output": [{"type": "Observation", "url": f"{root}/other/1"}]})
            job = (await kick_off(gateway, "/$export", SCOPE)).headers["content-location"]
            assert (await follow(gateway, job, SCOPE)).status_code == 502
