"""A worker process that races for one key.

Told a race by a line of JSON, it says "ready", waits for a line, and says what each of its tries won.  It ends when
its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, dataclass

from gateway.storage.open_store import open_store
from gateway.storage.store import Store


@dataclass(frozen=True)
class Race:
    """Whose key, and how often this worker tries."""

    url: str
    ca_file: str | None
    key_prefix: str
    operation: str
    key: str
    worker: int
    tries: int

    def line(self) -> str:
        return json.dumps(asdict(self)) + "\n"


async def wins(store: Store, race: Race, number: int) -> int:
    """One try: how much it won."""
    value = f"{race.worker}-{number}".encode()
    match race.operation:
        case "take":
            return await store.take(race.key) is not None
        case "put_new":
            return await store.put_new(race.key, value, 1000)
        case "replace":
            return await store.replace(race.key, b"first", value, 1000)
        case _:
            return await store.count(race.key, 1000)


async def run(race: Race) -> None:
    """Be ready, wait for the other worker, and try all at once."""
    store = open_store(race.url, ca_file=race.ca_file, key_prefix=race.key_prefix)
    await store.ping()
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    won = await asyncio.gather(*(wins(store, race, number) for number in range(race.tries)))
    await store.aclose()
    print(json.dumps([int(one) for one in won]), flush=True)  # noqa: T201


if __name__ == "__main__":
    while told := sys.stdin.readline():
        asyncio.run(run(Race(**json.loads(told))))
