"""What the kernel counts: CPU time of processes and of the whole machine, resident memory, and the cores to pin to."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class NotHere(Exception):
    """Something that the benchmark cannot do without is missing on this machine; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core the server under test has to itself, and which one the load and the upstream share."""

    server: int
    load: int

    @property
    def apart(self) -> bool:
        return self.server != self.load


def choose_cores(allowed: set[int]) -> Cores:
    """The first core for the server under test, the last one for everything else; on one core both share it."""
    return Cores(min(allowed), max(allowed))


def pinned(core: int, command: list[str]) -> list[str]:
    """The command held to one core; taskset replaces itself, so the process id stays the one we started."""
    return ["taskset", "-c", str(core), *command]


def require_tools() -> None:
    """Raise `NotHere` with all that is missing: nginx, wrk and taskset come from the operating system."""
    if not _PROC.joinpath("self/stat").exists():
        raise NotHere("The benchmark counts CPU time from /proc, so it runs on Linux only.")
    packages = {"nginx": "nginx", "wrk": "wrk", "taskset": "util-linux"}
    missing = [name for name in packages if shutil.which(name) is None]
    if missing:
        wanted = " ".join(packages[name] for name in missing)
        raise NotHere(
            f"The benchmark needs {', '.join(missing)}, which this machine does not have. "
            f"On Debian or Ubuntu: apt-get install {wanted}"
        )


def parse_stat(text: str) -> tuple[int, float]:
    """(parent id, CPU seconds of all threads) out of /proc/PID/stat; the command name may hold spaces and brackets."""
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[1]), (int(fields[11]) + int(fields[12])) * _TICK


def parse_machine(text: str) -> float:
    """CPU seconds spent for processes (user, nice, system) or taken by a neighbour (steal), out of /proc/stat."""
    fields = text.split("\n", 1)[0].split()
    return sum(int(fields[at]) for at in (1, 2, 3, 8)) * _TICK


def parse_status(text: str, name: str) -> int:
    """One size in bytes out of /proc/PID/status, such as VmRSS (resident now) or VmHWM (its highest)."""
    for line in text.splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise NotHere(f"/proc/PID/status has no {name} on this machine.")


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                parent, _ = parse_stat(entry.joinpath("stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found.extend(parents.get(one, []))
    return found


def cpu_seconds(pids: list[int]) -> float:
    """CPU time used so far by these processes, all their threads included."""
    return sum(parse_stat(_PROC.joinpath(str(pid), "stat").read_text())[1] for pid in pids)


def thread_seconds(pid: int) -> dict[int, float]:
    """CPU time used so far by each thread of a process, the main thread first."""
    threads = sorted(int(entry.name) for entry in _PROC.joinpath(str(pid), "task").iterdir())
    return {one: parse_stat(_PROC.joinpath(str(pid), "task", str(one), "stat").read_text())[1] for one in threads}


def machine_seconds() -> float:
    """CPU time used so far by every process of the machine."""
    return parse_machine(_PROC.joinpath("stat").read_text())


def resident(pid: int, name: str = "VmRSS") -> int:
    """Resident memory of one process in bytes."""
    return parse_status(_PROC.joinpath(str(pid), "status").read_text(), name)


def forget_peak(pid: int) -> None:
    """Let VmHWM start again from what is resident now."""
    _PROC.joinpath(str(pid), "clear_refs").write_text("5")
