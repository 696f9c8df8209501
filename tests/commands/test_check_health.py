"""`check-health` says of the gateway of this machine what its health checks say."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from gateway.commands.check_health import check_health
from gateway.settings.model import Listen
from tests.commands.test_check_config import make_files, problems_of, valid_values
from tests.commands.test_starting import run
from tests.proxy.running_gateway import running_gateway
from tests.servers.ports import free_port


async def test_it_asks_whether_the_gateway_is_alive_and_whether_it_is_ready(tmp_path: Path) -> None:
    async with running_gateway("http://127.0.0.1:9/fhir", tmp_path) as gateway:
        port = urlsplit(gateway.base_url).port
        assert port is not None
        for host in ("127.0.0.1", "0.0.0.0"):
            listen = Listen(host=host, port=port)
            assert await asyncio.to_thread(check_health, listen, "/healthz") == (True, "alive")
            assert await asyncio.to_thread(check_health, listen, "/readyz") == (
                False,
                "not ready: upstream_unreachable",
            )


def test_a_gateway_that_does_not_run_is_one_sentence_and_exit_status_one(tmp_path: Path) -> None:
    port = free_port()
    problems_of(tmp_path, valid_values(make_files(tmp_path)) | {"listen": {"port": port}})
    status, output, error = run("check-health", "--config", str(tmp_path / "gateway.yaml"))
    assert (status, output) == (1, "")
    assert error.startswith(f"The gateway does not answer on 127.0.0.1 port {port}: ")
    assert len(error.splitlines()) == 1
