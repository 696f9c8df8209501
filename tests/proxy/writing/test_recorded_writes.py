"""The AuditEvent of a write names the patients of what it changes, whatever little the request says of it."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.telemetry.audit_events.event_log import AuditEventLog
from gateway.telemetry.audit_events.spool import Spool
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.writing.binary_server import binary, binary_server, fill_with_binaries
from tests.proxy.writing.writes import observation, replace, write
from tests.servers.people import Resource
from tests.telemetry.audit_events.sample_events import FORMS

RAW = {"content_type": "text/plain", "x_security_context": "Patient/pat-b"}
# The token is for patient A, and reaches the whole server.
SCOPE = "system/*.cruds"


@contextlib.asynccontextmanager
async def recording(folder: Path) -> AsyncIterator[tuple[RunningGateway, Spool]]:
    spool = Spool(folder / "spool", ["file"], None, 1024 * 1024)
    events = AuditEventLog(spool, FORMS["in full"], "urn:x", refuses_when_full=True)
    async with (
        binary_server() as server,
        running_gateway(server.base_url, folder, audit_events=events) as gateway,
    ):
        fill_with_binaries(server)
        yield gateway, spool
    spool.close()


def patients_of(spool: Spool) -> list[str]:
    lines, _ = spool.read("file", max_lines=10, max_bytes=1024 * 1024)
    entities = (entity for line in lines for entity in json.loads(line)["entity"])
    return [one["what"]["identifier"]["value"] for one in entities if one.get("role", {}).get("code") == "1"]


WRITES: dict[str, tuple[str, str, Any, dict[str, str], list[str]]] = {
    "a Binary": ("POST", "/Binary", binary("Patient/pat-b"), {}, ["pat-b"]),
    "raw content": ("POST", "/Binary", b"x", RAW, ["pat-b"]),
    "a patch": ("PATCH", "/Observation/o-b", replace("/status", "amended"), {}, ["pat-b"]),
    "a delete": ("DELETE", "/Observation/o-b", None, {}, ["pat-b"]),
    "a change of the patient": (
        "PUT", "/Observation/o-b", observation("pat-a", "o-b"), {}, ["pat-a", "pat-b"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "headers", "patients"), WRITES.values(), ids=WRITES)
async def test_the_event_names_the_patients_of(
    tmp_path: Path,
    method: str,
    path: str,
    body: Any,
    headers: dict[str, str],
    patients: list[str],
) -> None:
    async with recording(tmp_path) as (gateway, spool):
        response = await write(gateway, method, path, body, SCOPE, prefer="return=minimal", **headers)
        assert response.status_code < 300, response.text
        assert sorted(patients_of(spool)) == patients


async def test_the_events_of_a_transaction_do_too(tmp_path: Path) -> None:
    entry = {"request": {"method": "DELETE", "url": "Observation/o-b"}}
    bundle: Resource = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    async with recording(tmp_path) as (gateway, spool):
        response = await write(gateway, "POST", "", bundle, SCOPE)
        assert response.status_code == 200, response.text
        assert "pat-b" in patients_of(spool)
