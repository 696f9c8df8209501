"""`serve` keeps the bounds of its settings, a reload changes them, and the metrics show them."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import httpx2
import pytest

from gateway.commands.serving.client_connections.build import connection_bounds
from gateway.settings.model import Settings
from tests.commands.serving_process import ServingProcess, serving_process, until
from tests.proxy.scripted_server import ABSENT, scripted_server

_UNFINISHED = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"


async def connect(process: ServingProcess) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", process.port)


async def metric(process: ServingProcess, line: str) -> float:
    """The value of one line of the metrics."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        text = (await http.get(f"http://127.0.0.1:{process.metrics_port}/metrics")).text
    return float(next(found for found in text.splitlines() if found.startswith(f"{line} ")).rpartition(" ")[2])


async def test_a_reload_changes_how_many_connections_one_address_may_have(tmp_path: Path) -> None:
    async with scripted_server(lambda *_: ABSENT) as server:
        overload = {"connections_per_address": 2, "head_seconds": 600}
        async with serving_process(server.base_url, {"overload": overload}) as process:
            busy = [await connect(process) for _ in range(2)]
            for _, writer in busy:
                writer.write(_UNFINISHED)
            await _until_refused(process)
            ended = 'smart_gateway_client_connections_ended_total{cause="too_many_of_address"}'
            assert await metric(process, ended) >= 1
            file = process.folder / "gateway.yaml"
            settings = json.loads(file.read_text())
            file.write_text(json.dumps({**settings, "overload": {**overload, "connections_per_address": 9}}))
            process.signal(signal.SIGHUP)
            await until(lambda: "another configuration is in force" in process.events())
            async with httpx2.AsyncClient(trust_env=False) as http:
                assert (await http.get(f"{process.root}/healthz")).status_code == 200
            assert await metric(process, "smart_gateway_client_connections") >= 2
            for _, writer in busy:
                writer.close()


async def _until_refused(process: ServingProcess) -> None:
    async with asyncio.timeout(60):
        while True:
            reader, writer = await connect(process)
            try:
                # An accepted one stays silent.
                async with asyncio.timeout(0.5):
                    answer = await reader.read(12)
            except TimeoutError:
                answer = b""
            writer.close()
            if answer == b"HTTP/1.1 429":
                return


def _settings(**overload: object) -> Settings:
    return Settings.model_validate(
        {
            "public_base_url": "https://gateway.example/fhir",
            "upstream": {"base_url": "http://fhir.example/fhir"},
            "listen": {"trusted_proxies": ["192.0.2.0/24"]},
            "issuers": [
                {"issuer": "https://issuer.example", "audiences": ["a"], "jwks_url": "https://issuer.example/jwks"}
            ],
            "overload": overload,
        }
    )


def test_the_bounds_are_those_of_the_settings() -> None:
    bounds = connection_bounds(_settings(connections=7, connections_per_address=3, idle_seconds=1.5, head_seconds=2.5))
    assert (bounds.total, bounds.per_address, bounds.idle, bounds.head) == (7, 3, 1.5, 2.5)
    assert bounds.trusts("192.0.2.9")
    assert not bounds.trusts("198.51.100.1")
    assert not bounds.trusts(None)


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit")
async def test_without_files_for_them_there_are_fewer_connections() -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512));"
        "from gateway.commands.serving.client_connections.build import connections_that_fit as fit;"
        "print(fit(100, 50), fit(10_000, 192), *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.decode().split() == ["100", "320", "512", "512"]
