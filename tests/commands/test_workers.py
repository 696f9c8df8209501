"""Several workers: one port, one page of metrics, one audit log, one end; and a worker that dies is replaced."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.commands.serving_process import ServingProcess, is_running, serving_process, until
from tests.proxy.lenient_server import LenientServer, lenient_server
from tests.servers.valkey import standalone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several workers need Linux")

PATIENT = {"resourceType": "Patient", "id": "A"}


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with standalone() as running:
        yield running.url


@pytest.fixture
async def upstream() -> AsyncIterator[LenientServer]:
    async with lenient_server(PATIENT) as server:
        yield server


async def _get(gateway: ServingProcess, path: str) -> httpx2.Response:
    """One request on a connection of its own."""
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        return await client.get(f"{gateway.root}{path}", headers={"authorization": f"Bearer {gateway.token()}"})


async def _sample(gateway: ServingProcess, name: str, **labels: str) -> float:
    """The value of a series of the metrics page, and 0 without one."""
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        text = (await client.get(f"http://127.0.0.1:{gateway.metrics_port}/metrics")).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def _read_until_all_have_answered(gateway: ServingProcess) -> int:
    """Read with one connection after the other until each worker has written an audit line. The number of reads."""
    while len({line["decision_id"].partition("-")[0] for line in gateway.audit()}) < gateway.workers:
        expected = gateway.audit_count() + 20
        for _ in range(20):
            assert (await _get(gateway, "/fhir/Patient/A")).status_code == 200
        await until(lambda expected=expected: gateway.audit_count() == expected)  # type: ignore[misc]  # a lambda has no types
    return gateway.audit_count()


async def test_metrics_are_added_up_and_never_fall_while_workers_die_and_memory_is_shared(
    upstream: LenientServer, store: str
) -> None:
    settings = {"smart_server": {"store": store}}
    async with serving_process(upstream.base_url, settings, workers=2) as gateway:
        reads = await _read_until_all_have_answered(gateway)
        counted = {"interaction": "read", "status": "2xx"}

        async def count() -> float:
            return await _sample(gateway, "smart_gateway_requests_total", **counted)

        seen = 0.0
        while seen < reads:
            now = await count()
            assert now >= seen
            seen = now
        assert seen == reads
        for pid in gateway.worker_pids():
            private, resident = _private_and_resident(pid)
            assert private <= resident / 2, f"a worker adds {private} kB of {resident} kB"
        first, second = gateway.worker_pids()
        os.kill(first, signal.SIGKILL)
        await until(lambda: len(set(gateway.worker_pids()) - {first}) == 2)
        assert await count() == reads
        assert await _sample(gateway, "smart_gateway_build_info") == 1
        assert (await _get(gateway, "/fhir/Patient/A")).status_code == 200
        assert second in gateway.worker_pids()
        [line] = [line for line in gateway.log() if line["event"] == "a worker has ended and is replaced"]
        assert (line["pid"], line["status"]) == (first, -signal.SIGKILL)
        gateway.signal(signal.SIGTERM)
        assert await gateway.exit_status() == 0
        assert len(gateway.audit()) == reads + 1


async def test_a_worker_that_dies_again_and_again_is_replaced_more_and_more_slowly(upstream: LenientServer) -> None:
    async with serving_process(upstream.base_url, workers=2) as gateway:
        for deaths in range(1, 4):
            pids = gateway.worker_pids()
            os.kill(max(pids), signal.SIGKILL)
            await until(lambda deaths=deaths: len(_delays(gateway)) == deaths)  # type: ignore[misc]  # likewise
            await until(lambda: len(gateway.worker_pids()) == 2)
        assert _delays(gateway) == [0.1, 0.2, 0.4]
        # The sum includes nothing twice: a place has the counters of all that had it.
        assert await _sample(gateway, "smart_gateway_worker_replacements_total") == 3


def _delays(gateway: ServingProcess) -> list[float]:
    return [line["delay_seconds"] for line in gateway.log() if line["event"] == "a worker has ended and is replaced"]


async def test_a_second_signal_and_the_end_of_the_supervisor_end_all_workers(upstream: LenientServer) -> None:
    settings = {"shutdown": {"drain_seconds": 600}}
    async with serving_process(upstream.base_url, settings, workers=2) as gateway:
        workers = gateway.worker_pids()
        gateway.signal(signal.SIGHUP)
        await until(lambda: "the configuration has not changed" in gateway.events())
        # A terminal and systemd send the signal to all processes, and the supervisor tells its workers besides.
        for pid in (*workers, gateway.pid):
            os.kill(pid, signal.SIGINT)
        await until(lambda: gateway.events().count("stopping: not ready any more") == 2)
        assert (await _get(gateway, "/readyz")).status_code == 503
        gateway.signal(signal.SIGTERM)
        assert await gateway.exit_status() == 0
        assert not any(map(is_running, workers))


async def test_workers_end_when_their_supervisor_is_killed(upstream: LenientServer) -> None:
    async with serving_process(upstream.base_url, workers=2) as gateway:
        workers = gateway.worker_pids()
        gateway.signal(signal.SIGKILL)
        await until(lambda: not any(map(is_running, workers)))


async def test_a_link_of_one_worker_opens_in_another(upstream: LenientServer) -> None:
    upstream.resources = [PATIENT, *({"resourceType": "Patient", "id": f"A{number}"} for number in range(3))]
    upstream.page_size = 1
    async with serving_process(upstream.base_url, workers=2) as gateway:
        page = (await _get(gateway, "/fhir/Observation")).json()
        [link] = [link["url"] for link in page["link"] if link["relation"] == "next"]
        path = link.removeprefix(gateway.root)
        assert {(await _get(gateway, path)).status_code for _ in range(30)} == {200}


def _private_and_resident(pid: int) -> tuple[int, int]:
    """The memory that would be free without this process, and all that it uses, in kB."""
    fields = dict(line.split(":") for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    sizes = {name: int(size.split()[0]) for name, size in fields.items()}
    return sizes["Private_Clean"] + sizes["Private_Dirty"], sizes["Rss"]
