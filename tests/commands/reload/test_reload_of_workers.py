"""Several workers and several gateways with one store: all of them change, and whoever starts later has the same."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.commands.reload.changed_process import (
    ADMIN_TOKEN,
    IN_FORCE,
    OTHER_ISSUER,
    REFUSED,
    admin,
    lines,
    logged,
    status_of,
    trusted_issuers,
    until_samples,
    write_settings,
    write_text,
)
from tests.commands.serving_process import ISSUER, ServingProcess, serving_process, until
from tests.proxy.lenient_server import LenientServer, lenient_server
from tests.servers.valkey import Node, standalone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several workers need Linux")

PATIENT = {"resourceType": "Patient", "id": "A"}
UNWATCHED = {"reload": {"watch_seconds": None}}
ROLLED_BACK = "the configuration before is in force again"
# Enough connections that each of two workers accepts some of them.
_READS = 12


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with standalone() as running:
        yield running.url


@pytest.fixture
async def upstream() -> AsyncIterator[LenientServer]:
    async with lenient_server(PATIENT) as server:
        yield server


def _smart(store: str) -> dict[str, object]:
    return {"smart_server": {"store": store, "admin_token": ADMIN_TOKEN}}


async def _statuses(gateway: ServingProcess, issuer: str) -> set[int]:
    return {await status_of(gateway, issuer) for _ in range(_READS)}


async def _replace_worker(gateway: ServingProcess) -> None:
    """Kill one worker, and wait until another one serves in its place."""
    pids = gateway.worker_pids()
    os.kill(pids[0], signal.SIGKILL)
    await until(lambda: len(set(gateway.worker_pids()) - {pids[0]}) == len(pids))


async def test_the_supervisor_passes_a_hangup_on_and_starts_workers_with_what_is_in_force(
    upstream: LenientServer,
) -> None:
    async with serving_process(upstream.base_url, UNWATCHED, workers=2) as gateway:
        write_settings(gateway, issuers=trusted_issuers(gateway, OTHER_ISSUER))
        gateway.signal(signal.SIGHUP)
        await logged(gateway, IN_FORCE, times=2)
        assert Counter(line["worker"] for line in lines(gateway, IN_FORCE)) == {0: 1, 1: 1}
        assert (await _statuses(gateway, ISSUER), await _statuses(gateway, OTHER_ISSUER)) == ({401}, {200})
        write_text(gateway, "nonsense: [")
        gateway.signal(signal.SIGHUP)
        await logged(gateway, REFUSED, times=2)
        await until_samples(gateway, "smart_gateway_reload_failures_total", lambda found: found == {"invalid": 2})
        await _replace_worker(gateway)
        assert (await _statuses(gateway, ISSUER), await _statuses(gateway, OTHER_ISSUER)) == ({401}, {200})
        gateway.signal(signal.SIGUSR1)
        # The worker that has just started knows the way back as well.
        await logged(gateway, ROLLED_BACK, times=2)
        assert (await _statuses(gateway, ISSUER), await _statuses(gateway, OTHER_ISSUER)) == ({200}, {401})
        await _replace_worker(gateway)
        assert (await _statuses(gateway, ISSUER), await _statuses(gateway, OTHER_ISSUER)) == ({200}, {401})
        await until_samples(gateway, "smart_gateway_configuration_info", lambda versions: len(versions) == 1)


async def test_a_changed_file_is_noticed_by_the_supervisor_alone(upstream: LenientServer) -> None:
    async with serving_process(upstream.base_url, {"reload": {"watch_seconds": 0.1}}, workers=2) as gateway:
        write_settings(gateway, issuers=trusted_issuers(gateway, OTHER_ISSUER))
        await logged(gateway, IN_FORCE, times=2)
        assert {line["trigger"] for line in lines(gateway, IN_FORCE)} == {"file"}
        assert (await _statuses(gateway, ISSUER), await _statuses(gateway, OTHER_ISSUER)) == ({401}, {200})
        write_text(gateway, "nonsense: [")
        await logged(gateway, REFUSED, times=2)
        assert {line["worker"] for line in lines(gateway, REFUSED)} == {0, 1}


async def test_a_reload_that_the_store_does_not_let_happen_is_made_up_for(upstream: LenientServer) -> None:
    store = Node().start()
    await asyncio.to_thread(store.wait_until_ready)
    try:
        settings = UNWATCHED | _smart(f"redis://127.0.0.1:{store.port}")
        async with serving_process(upstream.base_url, settings, workers=2) as gateway:
            write_settings(gateway, issuers=trusted_issuers(gateway, OTHER_ISSUER))
            store.kill()
            gateway.signal(signal.SIGHUP)
            await logged(gateway, REFUSED, times=2)
            assert {(line["outcome"], *line["problems"]) for line in lines(gateway, REFUSED)} == {
                ("unavailable", "the store does not answer")
            }
            assert (await _statuses(gateway, ISSUER), await _statuses(gateway, OTHER_ISSUER)) == ({200}, {401})
            await asyncio.to_thread(store.start().wait_until_ready)
            await logged(gateway, IN_FORCE, times=2)
            assert (await _statuses(gateway, ISSUER), await _statuses(gateway, OTHER_ISSUER)) == ({401}, {200})
            assert len(lines(gateway, REFUSED)) == 2
    finally:
        store.stop()


async def test_the_admin_api_changes_every_worker_of_every_gateway_with_the_store(
    upstream: LenientServer, store: str
) -> None:
    base, settings = "http://gateway.localhost/fhir", UNWATCHED | _smart(store)
    async with (
        serving_process(upstream.base_url, settings, workers=2, public_base_url=base) as one,
        serving_process(upstream.base_url, settings, public_base_url=base, key_file=one.folder / "key.json") as other,
    ):
        (other.folder / "key.json").write_bytes((one.folder / "key.json").read_bytes())
        for gateway in (one, other):
            write_settings(gateway, issuers=trusted_issuers(one, OTHER_ISSUER))
        status, state = await admin(one, "POST", "/reload")
        assert (status, state["outcome"]) == (200, "applied")
        await logged(one, IN_FORCE, times=2)
        assert (await logged(other, IN_FORCE))["trigger"] == "store"
        for gateway in (one, other):
            assert (await _statuses(gateway, ISSUER), await _statuses(gateway, OTHER_ISSUER)) == ({401}, {200})
        status, back = await admin(one, "POST", "/rollback")
        assert (status, back["version"]) == (200, state["previous"])
        await logged(one, ROLLED_BACK, times=2)
        await logged(other, ROLLED_BACK)
        for gateway in (one, other):
            assert (await _statuses(gateway, ISSUER), await _statuses(gateway, OTHER_ISSUER)) == ({200}, {401})
        await _replace_worker(one)
        assert (await _statuses(one, ISSUER), await _statuses(one, OTHER_ISSUER)) == ({200}, {401})
        assert not lines(one, REFUSED)
        assert not lines(other, REFUSED)
