"""AuditEvents of a running gateway: none is lost by a kill, none of what cannot be recorded leaves."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest

from gateway.commands.auditing.find_events import accesses_on_server, read_lines
from gateway.settings.serving.audit import AuditServer
from gateway.telemetry.audit_events.verify_chains import verify_chains
from tests.commands.serving_process import ServingProcess, serving_process, until
from tests.servers.ports import free_port
from tests.servers.process import Server
from tests.servers.sekmet import start_sekmet

pytestmark = pytest.mark.sekmet

_CONNECTIONS = 8
_ANSWERS_BEFORE_THE_KILL = 400


@pytest.fixture(scope="module")
def upstream() -> Iterator[Server]:
    with start_sekmet() as server:
        yield server


@contextlib.asynccontextmanager
async def recording_gateway(
    upstream: Server, folder: Path, workers: int = 1, **events: Any
) -> AsyncIterator[ServingProcess]:
    settings = {"spool": str(folder / "spool"), "file": str(folder / "events.ndjson"), **events}
    async with serving_process(upstream.base_url, {"audit": {"events": settings}}, workers) as process:
        yield process


def recorded_decisions(file: Path) -> set[str]:
    """The ids of the decisions that a file has events of."""
    details = (
        detail
        for line in read_lines([file])
        for entity in json.loads(line.text)["entity"]
        for detail in entity.get("detail", ())
    )
    return {detail["valueString"] for detail in details if detail["type"] == "decision_id"}


async def ask_until_it_ends(client: httpx2.AsyncClient, url: str, answered: list[str]) -> None:
    """Read, and note the decision of every answer that has arrived as a whole, until the gateway is gone."""
    with contextlib.suppress(httpx2.TransportError):
        while True:
            response = await client.get(url)
            answered.append(response.headers["x-decision-id"])


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_answered_request_is_missing_after_a_kill_under_load(
    upstream: Server, tmp_path: Path, workers: int
) -> None:
    answered: list[str] = []
    async with recording_gateway(upstream, tmp_path, workers) as process:
        async with httpx2.AsyncClient(
            headers={"authorization": f"Bearer {process.token()}"}, trust_env=False, timeout=30
        ) as client:
            url = f"{process.base_url}/Observation"
            load = [asyncio.create_task(ask_until_it_ends(client, url, answered)) for _ in range(_CONNECTIONS)]
            await until(lambda: len(answered) >= _ANSWERS_BEFORE_THE_KILL)
            # The supervisor first, so that it starts no other worker.
            for pid in [process.pid, *(process.worker_pids() if workers > 1 else [])]:
                os.kill(pid, signal.SIGKILL)
            await asyncio.gather(*load)
        process.stop()
        await process.start().ready()
        events = tmp_path / "events.ndjson"
        await until(lambda: events.exists() and set(answered) <= recorded_decisions(events))
    chains, broken = verify_chains(read_lines([events]), ())
    # Under load one worker may take every connection.
    assert (len(chains) in range(1, workers + 1), broken) == (True, None)


async def test_a_full_spool_refuses_requests_until_the_fhir_server_is_back_which_gets_every_event_once(
    upstream: Server, tmp_path: Path
) -> None:
    port = free_port()
    server = AuditServer(base_url=f"http://127.0.0.1:{port}/fhir")
    settings: dict[str, Any] = {
        "server": server.model_dump(exclude_defaults=True),
        "file": None,
        "spool_bytes": 1024 * 1024,
    }
    permitted: list[str] = []
    async with (
        recording_gateway(upstream, tmp_path, **settings) as process,
        httpx2.AsyncClient(headers={"authorization": f"Bearer {process.token()}"}, trust_env=False) as client,
    ):
        url = f"{process.base_url}/Observation"
        refused = await read_until_refused(client, url, permitted)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert refused.json()["issue"][0]["details"]["coding"][0]["code"] == "audit_unavailable"
        assert "audit events wait: a sink takes none" in process.events()
        # Another replica may have room.
        ready = await client.get(urljoin(process.base_url, "/readyz"))
        assert (ready.status_code, ready.text) == (503, "not ready: audit_unavailable\n")
        repository = await asyncio.to_thread(start_sekmet, port, load=False)
        try:
            await until(lambda: "audit events are handed on again" in process.events())
            answer = await client.get(url)
            assert answer.status_code == 200
            permitted.append(answer.headers["x-decision-id"])
            process.signal(signal.SIGTERM)
            await process.exit_status()
            # What was not handed on before the end is handed on after the next start.
            await process.start().ready()
            stored: list[str] = []
            async with asyncio.timeout(60):
                while len(stored) < len(permitted):
                    accesses = await accesses_on_server(server, None, None)
                    stored = [access.details["decision_id"] for access in accesses]
            config = process.folder / "gateway.yaml"
            shown = await asyncio.to_thread(audit, "show", "--server", "--json", "--since", "1h", "--config", config)
        finally:
            repository.stop()
        away = await asyncio.to_thread(audit, "show", "--server", "--config", config)
    assert sorted(stored) == sorted(permitted)
    assert shown.returncode == 0, shown.stderr
    assert sorted(access["details"]["decision_id"] for access in json.loads(shown.stdout)) == sorted(permitted)
    assert away.returncode == 2
    assert away.stderr.startswith("The FHIR server of audit.events.server cannot be asked: ")


async def read_until_refused(client: httpx2.AsyncClient, url: str, permitted: list[str]) -> httpx2.Response:
    """Read until the spool is full: it has room for some hundred events."""
    for _ in range(1000):
        response = await client.get(url)
        if response.status_code != 200:
            return response
        permitted.append(response.headers["x-decision-id"])
    raise AssertionError("The spool is never full.")


def audit(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run `smart-gateway audit`."""
    command = [sys.executable, "-m", "gateway", "audit", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_the_commands_say_who_accessed_a_record_and_whether_the_chain_is_whole(
    upstream: Server, tmp_path: Path
) -> None:
    events = tmp_path / "events.ndjson"
    async with recording_gateway(upstream, tmp_path) as process:
        config = process.folder / "gateway.yaml"
        async with httpx2.AsyncClient(trust_env=False) as client:
            signed_in = {"authorization": f"Bearer {process.token()}"}
            for path, headers in (("Patient/A", signed_in), ("Observation", signed_in), ("Patient/A", {})):
                await client.get(f"{process.base_url}/{path}", headers=headers)
        await until(lambda: events.exists() and events.read_bytes().count(b"\n") == 3)
        shown = audit("show", "--patient", "A", "--since", "1h", "--config", config)
        assert shown.returncode == 0, shown.stderr
        heading, *rows = shown.stdout.splitlines()
        assert heading.split() == ["TIME", "USER", "APP", "FROM", "WHAT", "PATIENT", "LEFT", "DECISION"]
        assert ["someone" in row and "app" in row for row in rows] == [True, True]
        # A request without a token is not read any further, so that nobody knows whose record it was for.
        assert "nothing (token_missing)" in audit("show", "--config", config).stdout.splitlines()[3]
        for options, count in (
            (("--user", "someone"), 2), (("--user", "nobody"), 0), (("--client", "app"), 2), (("--patient", "B"), 0),
            (("--since", "2999-01-01"), 0),
        ):  # fmt: skip
            found = audit("show", *options, "--json", "--file", events)
            assert len(json.loads(found.stdout)) == count, options
        assert audit("show", "--since", "yesterday", "--config", config).returncode == 1
    whole = audit("verify", events)
    assert (whole.returncode, whole.stdout.splitlines()[-1]) == (0, "Every chain is whole.")
    events.write_bytes(events.read_bytes().replace(b'"someone"', b'"nobody!"', 1))
    broken = audit("verify", events)
    assert broken.returncode == 1
    assert "record 1 is not as it was written: record 2 carries another hash of it" in broken.stderr
    assert audit("verify", tmp_path / "missing").returncode == 2
    assert audit("show", "--file", tmp_path / "missing").returncode == 2
