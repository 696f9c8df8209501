"""wrk, the load generator: its command line, its Lua scripts and its summary."""

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
  io.write(string.format("latency: p50=%d p99=%d\\n", latency:percentile(50), latency:percentile(99)))
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
"""In `init`, because wrk does not know the Host header earlier."""

_WRITES = """
local bodies = {
@BODIES@
}
local requests = {}
init = function()
  wrk.headers["Content-Type"] = "application/fhir+json"
  for _, body in ipairs(bodies) do
    requests[#requests + 1] = wrk.format("@METHOD@", body[1], wrk.headers, body[2])
  end
end
local at = 0
request = function()
  at = at % #requests + 1
  return requests[at]
end
"""


_LATENCY = re.compile(r"^latency: p50=(\d+) p99=(\d+)$", re.MULTILINE)


class UnusableRun(Exception):
    """A run of wrk that does not count: it failed, or some responses were errors."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What wrk counted in one run."""

    requests: int
    wall_seconds: float
    errors: int
    """Connect, read, write and timeout errors, and responses with status 400 or more."""


def parse_summary(output: str) -> Summary:
    """The counts in the line that the `done` function prints. Raises `UnusableRun` if there is none."""
    match = _SUMMARY.search(output)
    if match is None:
        raise UnusableRun(f"wrk printed no summary; its output was: {output.strip() or 'nothing'}")
    requests, microseconds, *errors = map(int, match.groups())
    return Summary(requests, microseconds / 1e6, sum(errors))


def parse_latency(output: str) -> tuple[float, float]:
    """The median and the 99th percentile of the response time in milliseconds. Raises `UnusableRun` without them."""
    match = _LATENCY.search(output)
    if match is None:
        raise UnusableRun(f"wrk printed no latency; its output was: {output.strip() or 'nothing'}")
    return int(match[1]) / 1000, int(match[2]) / 1000


def check_summary(summary: Summary, url: str) -> Summary:
    """The summary itself. Raises `UnusableRun` if a response was an error, because errors are cheap."""
    if summary.errors or not summary.requests:
        raise UnusableRun(f"{url}: {summary.errors} errors in {summary.requests} requests, so the run does not count")
    return summary


def make_script(path: str, tokens: Path | None) -> str:
    """The Lua script. It prints the summary; with a file of tokens, one per line, it uses them in rotation."""
    if tokens is None:
        return _DONE
    return _ROTATE.replace("@FILE@", str(tokens)).replace("@PATH@", path) + _DONE


def make_write_script(method: str, bodies: Sequence[tuple[str, str]]) -> str:
    """The Lua script that sends these bodies to their paths in rotation."""
    lines = "\n".join(f'  {{"{path}", [==[{body}]==]}},' for path, body in bodies)
    return _WRITES.replace("@METHOD@", method).replace("@BODIES@", lines) + _DONE


def make_command(url: str, lua: Path, seconds: float, connections: int, headers: Sequence[str]) -> list[str]:
    """The command line: one thread, so that the load stays on one core. wrk accepts only whole seconds."""
    head = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s", "-s", str(lua)]
    return [*head, *(part for header in headers for part in ("-H", header)), url]
