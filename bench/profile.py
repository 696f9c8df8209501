"""Shows where the gateway spends its time: py-spy samples it under the load of one scenario.

Only the thread that holds the interpreter lock is sampled, because py-spy otherwise counts waiting threads as busy.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.load import LoadRunner, check_side, prepare_side
from bench.machine import Cores, thread_seconds
from bench.nginx import Upstream
from bench.scenarios import Scenario, select_scenarios
from bench.servers import BenchSetup, Gateway

_SECONDS = 8.0
_TOP = 35


@dataclass(frozen=True, slots=True)
class FunctionShare:
    """A function and its share of the samples: in the function itself, and including everything that it called."""

    function: str
    own_share: float
    total_share: float


def parse_folded(text: str) -> list[FunctionShare]:
    """The functions of the folded stacks that py-spy writes (`a;b;c 12`), by total share."""
    own_samples: Counter[str] = Counter()
    total_samples: Counter[str] = Counter()
    total = 0
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdigit():
            continue
        frames = stack.split(";")
        own_samples[frames[-1]] += int(count)
        for frame in set(frames):
            total_samples[frame] += int(count)
        total += int(count)
    return (
        [
            FunctionShare(name, own_samples[name] / total, total_samples[name] / total)
            for name, _ in total_samples.most_common()
        ]
        if total
        else []
    )


def format_report(shares: list[FunctionShare]) -> str:
    """Two lists: functions by their own share, and by their total share."""
    by_own_share = sorted(shares, key=lambda share: share.own_share, reverse=True)[:_TOP]
    by_total_share = sorted(shares, key=lambda share: share.total_share, reverse=True)[:_TOP]
    lines = [
        "share of time in the function itself",
        *(f"  {share.own_share:6.1%}  {share.function}" for share in by_own_share),
    ]
    lines += ["", "share of time in the function and everything that it calls"]
    lines += [f"  {share.total_share:6.1%}  {share.function}" for share in by_total_share]
    return "\n".join(lines)


def profile_scenario(name: str, setup: BenchSetup, cores: Cores, upstream: Upstream, environment: Path) -> int:
    """Sample the gateway for eight seconds under the load of the first scenario of that name."""
    scenario: Scenario = select_scenarios([name], calibrate=False)[0]
    folded = setup.folder / "folded.txt"
    with Gateway(setup, cores.server) as server:
        runner = LoadRunner(cores, os.getpid(), _SECONDS + 2)
        runner.set_servers([upstream, server])
        side = prepare_side(setup, server, scenario.load, "ours")
        check_side(side)
        runner.warm_up(side)
        load = threading.Thread(target=runner.run, args=(side,))
        load.start()
        before = thread_seconds(server.pid)
        record = [str(environment / "bin/py-spy"), "record", "--pid", str(server.pid), "--rate", "500", "--gil"]
        output = ["--format", "raw", "--function", "--duration", str(round(_SECONDS)), "--output", str(folded)]
        done = subprocess.run([*record, *output], capture_output=True, text=True, check=False)
        load.join()
        cpu_by_thread = {thread: late - before.get(thread, 0.0) for thread, late in thread_seconds(server.pid).items()}
    if done.returncode:
        print(f"py-spy could not sample the gateway: {done.stderr.strip()}")
        return 1
    total = sum(cpu_by_thread.values())
    print("share of CPU time by thread, the first one being the event loop")
    print("\n".join(f"  {seconds / total:6.1%}  {thread}" for thread, seconds in cpu_by_thread.items()))
    print("\n" + format_report(parse_folded(folded.read_text())))
    return 0
