"""Where the gateway spends its time: py-spy samples it under the load of one scenario, and the top is printed.

Only the thread that holds the interpreter lock is sampled: py-spy takes threads that wait for busy ones otherwise.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.load import Bench, check, prepare
from bench.machine import Cores, thread_seconds
from bench.scenarios import Scenario, chosen
from bench.servers import Gateway, Place, Upstream

_SECONDS = 8.0
_TOP = 35


@dataclass(frozen=True, slots=True)
class Hot:
    """A function, and its share of the samples: alone (it was running) and with all it called."""

    function: str
    alone: float
    with_calls: float


def parse_folded(text: str) -> list[Hot]:
    """Functions by their own share, out of the folded stacks that py-spy writes (`a;b;c 12`)."""
    alone: Counter[str] = Counter()
    within: Counter[str] = Counter()
    total = 0
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdigit():
            continue
        frames = stack.split(";")
        alone[frames[-1]] += int(count)
        for frame in set(frames):
            within[frame] += int(count)
        total += int(count)
    return [Hot(name, alone[name] / total, within[name] / total) for name, _ in within.most_common()] if total else []


def report(hot: list[Hot]) -> str:
    """Two lists: where the time is, and through which calls it gets there."""
    own = sorted(hot, key=lambda one: one.alone, reverse=True)[:_TOP]
    through = sorted(hot, key=lambda one: one.with_calls, reverse=True)[:_TOP]
    lines = ["share of time in the function itself", *(f"  {one.alone:6.1%}  {one.function}" for one in own)]
    lines += ["", "share of time in the function and all it calls"]
    lines += [f"  {one.with_calls:6.1%}  {one.function}" for one in through]
    return "\n".join(lines)


def profile(name: str, place: Place, cores: Cores, upstream: Upstream, environment: Path) -> int:
    """Sample the gateway for eight seconds under the load of the first scenario of that name."""
    scenario: Scenario = chosen([name], calibrate=False)[0]
    folded = place.folder / "folded.txt"
    with Gateway(place, cores.server) as server:
        bench = Bench(cores, os.getpid(), _SECONDS + 2)
        bench.watch([upstream, server])
        side = prepare(place, server, scenario.load, "ours")
        check(side)
        bench.warm(side)
        load = threading.Thread(target=bench.run, args=(side,))
        load.start()
        before = thread_seconds(server.pid)
        record = [str(environment / "bin/py-spy"), "record", "--pid", str(server.pid), "--rate", "500", "--gil"]
        output = ["--format", "raw", "--function", "--duration", str(round(_SECONDS)), "--output", str(folded)]
        done = subprocess.run([*record, *output], capture_output=True, text=True, check=False)
        load.join()
        used = {thread: late - before.get(thread, 0.0) for thread, late in thread_seconds(server.pid).items()}
    if done.returncode:
        print(f"py-spy could not look into the gateway: {done.stderr.strip()}")
        return 1
    whole = sum(used.values())
    print("share of CPU time by thread, the first one being the event loop")
    print("\n".join(f"  {seconds / whole:6.1%}  {thread}" for thread, seconds in used.items()))
    print("\n" + report(parse_folded(folded.read_text())))
    return 0
