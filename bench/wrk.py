"""wrk, the load: its command line, the small Lua scripts it runs, and how its summary is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SUMMARY = re.compile(
    r"^bench: requests=(\d+) microseconds=(\d+) connect=(\d+) read=(\d+) write=(\d+) status=(\d+) timeout=(\d+)$",
    re.MULTILINE,
)

_DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("bench: requests=%d microseconds=%d connect=%d read=%d write=%d status=%d timeout=%d\\n",
    summary.requests, summary.duration, e.connect, e.read, e.write, e.status, e.timeout))
end
"""

_ROTATE = """
local requests = {}
init = function()
  for line in io.lines("@FILE@") do
    requests[#requests + 1] = wrk.format("GET", "@PATH@", {["Authorization"] = "Bearer " .. line})
  end
end
local at = 0
request = function()
  at = at % #requests + 1
  return requests[at]
end
"""
"""In `init`, because wrk knows the Host header only by then."""


class BadRun(Exception):
    """A run of wrk that says nothing about the server: it failed, or some answers were errors."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What wrk counted in one run."""

    requests: int
    wall_seconds: float
    errors: int
    """Connect, read, write and time-out errors, and answers with status 400 or more."""


def parse(output: str) -> Summary:
    """The counts out of the line that our `done` function prints; `BadRun` when there is none."""
    found = _SUMMARY.search(output)
    if found is None:
        raise BadRun(f"wrk printed no summary; its output was: {output.strip() or 'nothing'}")
    requests, microseconds, *errors = map(int, found.groups())
    return Summary(requests, microseconds / 1e6, sum(errors))


def usable(summary: Summary, url: str) -> Summary:
    """The summary itself, or `BadRun`: an error answer is cheap, so one of them would flatter the server."""
    if summary.errors or not summary.requests:
        raise BadRun(f"{url}: {summary.errors} errors in {summary.requests} requests, so the run does not count")
    return summary


def script(path: str, tokens: Path | None) -> str:
    """The Lua script: always the summary, and with a file of tokens (one a line) a different one for each request."""
    if tokens is None:
        return _DONE
    return _ROTATE.replace("@FILE@", str(tokens)).replace("@PATH@", path) + _DONE


def command(url: str, lua: Path, seconds: float, connections: int, headers: Sequence[str]) -> list[str]:
    """One thread, so that the load stays on one core. wrk takes whole seconds only."""
    head = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s", "-s", str(lua)]
    return [*head, *(part for header in headers for part in ("-H", header)), url]
