"""A worker process that races for one key.

It reads a race as a line of JSON, writes "ready", waits for a line, and writes what each of its attempts won. It ends
with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, dataclass

from gateway.storage.backends.open_store import open_store
from gateway.storage.backends.store import Store


@dataclass(frozen=True)
class Race:
    """A key, the operation on it, and how many attempts this worker makes."""

    url: str
    ca_file: str | None
    replicas: int
    key_prefix: str
    operation: str
    key: str
    worker: int
    tries: int

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"


async def attempt(store: Store, race: Race, number: int) -> int:
    """Make one attempt, and return what it won."""
    value = f"{race.worker}-{number}".encode()
    match race.operation:
        case "take":
            return await store.take(race.key) is not None
        case "put_new":
            return await store.put_new(race.key, value, 1000)
        case "replace":
            return await store.replace(race.key, b"first", value, 1000)
        case _:
            return await store.increment(race.key, 1000)


async def run_race(race: Race) -> None:
    """Report "ready", wait for the other worker, and make all attempts at once."""
    store = open_store(race.url, ca_file=race.ca_file, key_prefix=race.key_prefix, replicas=race.replicas)
    await store.ping()
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    results = await asyncio.gather(*(attempt(store, race, number) for number in range(race.tries)))
    await store.aclose()
    print(json.dumps([int(result) for result in results]), flush=True)  # noqa: T201


if __name__ == "__main__":
    while told := sys.stdin.readline():
        asyncio.run(run_race(Race(**json.loads(told))))
