"""Of a thousand simultaneous attempts from two processes, one succeeds."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.open_store import open_store
from gateway.storage.backends.store import Store
from tests.servers.process import ROOT
from tests.servers.valkey import RunningStore
from tests.storage.conftest import SHARED_KINDS
from tests.storage.racing_process import Race, attempt

WORKERS = 2
TRIES = 500
OPERATIONS = ["take", "put_new", "replace"]

Worker = subprocess.Popen[str]


@pytest.fixture(scope="module")
def workers() -> Iterator[list[Worker]]:
    command = [sys.executable, "-m", "tests.storage.racing_process"]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(WORKERS)
    ]
    yield running
    for worker in running:
        worker.communicate(timeout=10)


def _run_race(workers: list[Worker], stored: RunningStore, prefix: str, operation: str) -> list[int]:
    """Run a race, and return what each attempt of all workers won."""
    for number, worker in enumerate(workers):
        race = Race(stored.url, stored.ca_file, stored.replicas, prefix, operation, "k", number, TRIES)
        _write_line(worker, race.to_line())
    for worker in workers:
        assert _read_line(worker) == "ready\n"
    for worker in workers:
        _write_line(worker, "go\n")
    return [won for worker in workers for won in json.loads(_read_line(worker))]


def _write_line(worker: Worker, line: str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(line)
    worker.stdin.flush()


def _read_line(worker: Worker) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline()


async def _prepare(store: Store, operation: str) -> None:
    if operation in {"take", "replace"}:
        await store.put("k", b"first", 1000)


@pytest.mark.parametrize("kind", SHARED_KINDS)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_of_a_thousand_who_try_at_once_from_two_processes_one_succeeds(
    started: Callable[[str], RunningStore | None], workers: list[Worker], kind: str, operation: str
) -> None:
    stored = started(kind)
    assert stored is not None
    prefix = f"race-{operation}:"
    store = open_store(stored.url, ca_file=stored.ca_file, key_prefix=prefix, replicas=stored.replicas)
    await _prepare(store, operation)
    won = await asyncio.to_thread(_run_race, workers, stored, prefix, operation)
    assert len(won) == WORKERS * TRIES
    assert sum(won) == 1
    if operation == "take":
        assert await store.get("k") is None
    else:
        winner = won.index(1)
        assert await store.get("k") == f"{winner // TRIES}-{winner % TRIES}".encode()
    await store.aclose()


@pytest.mark.parametrize("kind", SHARED_KINDS)
async def test_two_processes_that_count_miss_and_repeat_no_number(
    started: Callable[[str], RunningStore | None], workers: list[Worker], kind: str
) -> None:
    stored = started(kind)
    assert stored is not None
    won = await asyncio.to_thread(_run_race, workers, stored, "race-count:", "count")
    assert sorted(won) == list(range(1, WORKERS * TRIES + 1))


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_of_a_thousand_who_try_at_once_in_memory_one_succeeds(operation: str) -> None:
    store = MemoryStore()
    await _prepare(store, operation)
    race = Race("memory://", None, 0, "", operation, "k", 0, 1000)
    assert sum(await asyncio.gather(*(attempt(store, race, number) for number in range(race.tries)))) == 1
