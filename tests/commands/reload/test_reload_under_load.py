"""Reloads under load: no request fails, and nothing of an earlier configuration is left behind."""

import asyncio
import contextlib
import signal
import sys
from collections import Counter
from pathlib import Path

import httpx2
import pytest

from tests.commands.reload.changed_process import IN_FORCE, logged, token_of, write_settings
from tests.commands.serving_process import ServingProcess, serving_process, until
from tests.proxy.lenient_server import lenient_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and several workers need Linux")

_CLIENTS = 8
_RELOADS = 20
# Files and sockets of a process that come and go by themselves: idle connections of both sides.
_SLACK = _CLIENTS


async def _read_on_and_on(gateway: ServingProcess, outcomes: Counter[int | str]) -> None:
    headers = {"authorization": f"Bearer {token_of(gateway)}"}
    async with httpx2.AsyncClient(trust_env=False, timeout=30, headers=headers) as client:
        while True:
            try:
                outcomes[(await client.get(f"{gateway.root}/fhir/Patient/A")).status_code] += 1
            except httpx2.TransportError as error:
                outcomes[type(error).__name__] += 1


async def _reload(gateway: ServingProcess, number: int) -> None:
    """Bring another policy into force, and other connections to the FHIR server every second time."""
    base = {"base_url": _upstream_of(gateway), "pool": {"connections": 16 + number // 2}}
    write_settings(gateway, limits={"bundle_entries": 100 + number}, upstream=base)
    gateway.signal(signal.SIGHUP)
    await logged(gateway, IN_FORCE, times=number * gateway.workers)


def _upstream_of(gateway: ServingProcess) -> str:
    """The FHIR server behind it."""
    [line] = [line for line in gateway.log() if line["event"] == "serving"][:1]
    return str(line["upstream"])


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_request_fails_during_reloads_and_nothing_is_left_behind(workers: int) -> None:
    async with (
        lenient_server({"resourceType": "Patient", "id": "A"}) as upstream,
        serving_process(upstream.base_url, {"reload": {"watch_seconds": None}}, workers=workers) as gateway,
    ):
        outcomes: Counter[int | str] = Counter()
        clients = [asyncio.create_task(_read_on_and_on(gateway, outcomes)) for _ in range(_CLIENTS)]
        await until(lambda: outcomes[200] > 100)
        await _reload(gateway, 1)
        before = _open_files(gateway)
        for number in range(2, _RELOADS + 1):
            enough = outcomes[200] + 20
            await _reload(gateway, number)
            await until(lambda enough=enough: outcomes[200] > enough)  # type: ignore[misc]  # a lambda has no types
        assert _open_files(gateway) <= before + _SLACK * workers
        for client in clients:
            client.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*clients)
        assert set(outcomes) == {200}, outcomes


def _open_files(gateway: ServingProcess) -> int:
    pids = gateway.worker_pids() or [gateway.pid]
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)
