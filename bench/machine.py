"""The kernel's figures: CPU time of processes and of the whole machine, resident memory, and cores to pin to."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class MissingRequirement(Exception):
    """The benchmark needs something that this machine does not have; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the server under test, and the core that the load and the upstream share."""

    server: int
    load: int

    @property
    def are_separate(self) -> bool:
        return self.server != self.load


def choose_cores(allowed: set[int]) -> Cores:
    """The first core for the server under test, the last for everything else. A single core is shared."""
    return Cores(min(allowed), max(allowed))


def pin_to_core(core: int, command: list[str]) -> list[str]:
    """The command pinned to one core. taskset replaces itself, so the process id stays the same."""
    return ["taskset", "-c", str(core), *command]


def require_tools() -> None:
    """Raise `MissingRequirement` naming every missing tool: nginx, wrk and taskset come from the operating system."""
    if not _PROC.joinpath("self/stat").exists():
        raise MissingRequirement("The benchmark counts CPU time from /proc, so it runs on Linux only.")
    packages = {"nginx": "nginx", "wrk": "wrk", "taskset": "util-linux"}
    missing = [name for name in packages if shutil.which(name) is None]
    if missing:
        to_install = " ".join(packages[name] for name in missing)
        raise MissingRequirement(
            f"The benchmark needs {', '.join(missing)}, which this machine does not have. "
            f"On Debian or Ubuntu: apt-get install {to_install}"
        )


def parse_stat(text: str) -> tuple[int, float]:
    """(parent id, CPU seconds of all threads) from /proc/PID/stat; the command name may contain spaces and brackets."""
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[1]), (int(fields[11]) + int(fields[12])) * _TICK


def parse_machine(text: str) -> float:
    """CPU seconds used by processes (user, nice, system) or by another guest (steal), from /proc/stat."""
    fields = text.split("\n", 1)[0].split()
    return sum(int(fields[at]) for at in (1, 2, 3, 8)) * _TICK


def parse_status(text: str, name: str) -> int:
    """A size in bytes from /proc/PID/status, such as VmRSS (resident now) or VmHWM (its peak)."""
    for line in text.splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise MissingRequirement(f"/proc/PID/status has no {name} on this machine.")


def process_tree(pid: int) -> list[int]:
    """The ids of the process and of all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                parent, _ = parse_stat(entry.joinpath("stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    pids = [pid]
    for parent in pids:
        pids.extend(parents.get(parent, []))
    return pids


def cpu_seconds(pids: list[int]) -> float:
    """CPU seconds used so far by these processes, including all threads."""
    return sum(parse_stat(_PROC.joinpath(str(pid), "stat").read_text())[1] for pid in pids)


def thread_seconds(pid: int) -> dict[int, float]:
    """CPU seconds used so far by each thread of a process, the main thread first."""
    threads = sorted(int(entry.name) for entry in _PROC.joinpath(str(pid), "task").iterdir())
    return {
        thread: parse_stat(_PROC.joinpath(str(pid), "task", str(thread), "stat").read_text())[1] for thread in threads
    }


def machine_seconds() -> float:
    """CPU seconds used so far by all processes of the machine."""
    return parse_machine(_PROC.joinpath("stat").read_text())


def resident_memory(pid: int, name: str = "VmRSS") -> int:
    """Resident memory of one process in bytes."""
    return parse_status(_PROC.joinpath(str(pid), "status").read_text(), name)


def reset_peak(pid: int) -> None:
    """Reset VmHWM to the memory that is resident now."""
    _PROC.joinpath(str(pid), "clear_refs").write_text("5")
