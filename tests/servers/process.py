"""A server as a child process: started with a log file, ready when a URL responds, ended with its parent."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from scripts.install_once import ROOT, NotAvailable

__all__ = [
    "ROOT",
    "NotAvailable",
    "Server",
    "StartError",
    "require_tools",
    "run_until_stopped",
    "start_process",
    "with_leash",
]

_POLL_SECONDS = 0.05
_STOP_SECONDS = 10.0


class StartError(Exception):
    """A server ended, or did not respond, before it was ready. The message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its FHIR base URL, and the folder with its log, which is removed when the server stops."""

    name: str
    base_url: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> Path:
        """What the server writes to standard output and error."""
        return self.folder / "log"

    def stop(self) -> None:
        """End the server and all its children; may be called twice."""
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        try:
            self.process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _kill(self.process)
            self.process.wait()
        _kill(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def with_leash(command: list[str]) -> list[str]:
    """A command that ends `command` when standard input ends, for servers that do not do that themselves."""
    return [sys.executable, "-E", "-S", str(Path(__file__).with_name("leash.py")), *command]


def require_tools(*tools: str) -> None:
    """Raise `NotAvailable` unless every command is on the path."""
    for tool in tools:
        if shutil.which(tool) is None:
            raise NotAvailable(f"`{tool}` is not installed on this machine.")


def start_process(
    name: str,
    command: list[str],
    base_url: str,
    *,
    ready_path: str = "/metadata",
    deadline_seconds: float = 60.0,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
) -> Server:
    """Start `command` and return when `base_url + ready_path` answers 200.

    The command must end when its standard input ends (see `with_leash`). `folder` is for its files; `stop` removes it.
    Raises `StartError` when it ends, or when `deadline_seconds` pass, before it is ready.
    """
    folder = folder or Path(tempfile.mkdtemp(prefix=f"{name}-"))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    server = Server(name, base_url, folder, process)
    try:
        _await_ready(server, base_url + ready_path, deadline_seconds)
    except BaseException:
        server.stop()
        raise
    return server


def run_until_stopped(server: Server) -> None:
    """Run `server` until standard input ends, SIGTERM or Ctrl-C, then stop it. For commands."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    with server, contextlib.suppress(KeyboardInterrupt):
        sys.stdin.buffer.read()


def _await_ready(server: Server, url: str, deadline_seconds: float) -> None:
    deadline = time.monotonic() + deadline_seconds
    while not _is_ready(url, max(0.1, deadline - time.monotonic())):
        if server.process.poll() is not None:
            raise StartError(f"{server.name} ended with status {server.process.returncode}.\n{_log_tail(server.log)}")
        if time.monotonic() > deadline:
            raise StartError(f"{server.name} did not answer {url} in {deadline_seconds:g} s.\n{_log_tail(server.log)}")
        time.sleep(_POLL_SECONDS)


def _is_ready(url: str, timeout_seconds: float) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_seconds)
    try:
        connection.request("GET", parts.path, headers={"Accept": "application/fhir+json"})
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return False
    else:
        return response.status == 200
    finally:
        connection.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the remaining processes of the process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _log_tail(log: Path, lines: int = 30) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
