"""The servers of the benchmark as processes: what all have in common, the ASGI hello and the gateway."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from bench.bodies import Site
from bench.machine import MissingRequirement, pin_to_core, process_tree
from bench.tokens import AUDIENCE, ISSUER, Issuer
from tests.servers.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 30.0

PUBLIC_BASE = "https://gateway.invalid/fhir"
TOKEN_CACHE_ENTRIES = 20_000
"""More than the 10 000 tokens of one row: a cache that evicts the oldest, used in rotation, must hold all of them."""


class NotStarted(MissingRequirement):
    """A server did not start; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class BenchSetup:
    """What all servers of one run share: the folder for their files, the served site, and the issuer of tokens."""

    folder: Path
    site: Site
    issuer: Issuer
    upstream_port: int
    envoy: Path


def upstream_base(port: int) -> str:
    """The base URL of the FHIR server on that port."""
    return f"http://127.0.0.1:{port}/fhir"


class Server(ABC):
    """A server process on a loopback port, pinned to a core or (None) to none, with its output in a log file."""

    name: str
    ready_path = "/fhir/metadata"
    root = ROOT
    """The folder that it runs in, from which Python takes the gateway."""

    def __init__(self, setup: BenchSetup, core: int | None, port: int | None = None) -> None:
        self.setup = setup
        self.port = port or free_port()
        self._core = core
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The command line. Writes the configuration that it names."""

    def environment(self) -> dict[str, str]:
        """Variables to add to this process's environment."""
        return {}

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    def pids(self) -> list[int]:
        """The ids of the process and its children."""
        return process_tree(self.pid)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def file(self, suffix: str, text: str) -> Path:
        """Write a file that belongs to this server."""
        path = self.setup.folder / f"{self.name}{suffix}"
        path.write_text(text)
        return path

    @property
    def _log(self) -> Path:
        return self.setup.folder / f"{self.name}.log"

    def log_end(self) -> str:
        """The end of the server's log."""
        return self._log.read_text(errors="replace").strip()[-2000:]

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                self.command() if self._core is None else pin_to_core(self._core, self.command()),
                cwd=self.root,
                env=os.environ | self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise NotStarted(f"{self.name} ended at once with status {self._process.returncode}: {self.log_end()}")
            try:
                get(self, self.ready_path, {})
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise NotStarted(f"{self.name} did not answer within {_START_SECONDS:g} s: {self.log_end()}")

    def stop(self) -> None:
        """Terminate it, and kill it after five seconds."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def get(server: Server, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and body of one GET. Raises `OSError` if there is no response."""
    return send(server, "GET", path, headers)


def send(
    server: Server, method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> tuple[int, bytes]:
    """Status and body of one request. Raises `OSError` if there is no response."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise OSError(f"{server.name} gave no HTTP answer: {error!r}") from error
    finally:
        connection.close()


class Hello(Server):
    """uvicorn as the gateway runs it (uvloop, httptools, no access log), around an application that does nothing."""

    name = "hello"

    def environment(self) -> dict[str, str]:
        return {"BENCH_SITE": str(self.setup.site.root)}

    def command(self) -> list[str]:
        serve = [sys.executable, "-m", "uvicorn", "bench.hello:app", "--host", "127.0.0.1", "--port", str(self.port)]
        return [*serve, "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]


class Gateway(Server):
    """The gateway: token check, decision, every entry verified, metrics and an audit line for each request."""

    name = "gateway"

    def command(self) -> list[str]:
        self.file(".jwks.json", self.setup.issuer.jwks)
        settings = self.file(".yaml", yaml.safe_dump(self.settings(), sort_keys=False))
        return [sys.executable, "-m", "gateway", "serve", "--config", str(settings)]

    def settings(self) -> dict[str, object]:
        """The configuration as an operator would write it: with metrics, and the audit log in a file."""
        issuer = {
            "issuer": ISSUER,
            "audiences": [AUDIENCE],
            "jwks_file": str(self.setup.folder / f"{self.name}.jwks.json"),
        }
        return {
            "public_base_url": PUBLIC_BASE,
            "listen": {"port": self.port},
            "metrics": {"port": free_port()},
            "upstream": {"base_url": upstream_base(self.setup.upstream_port)},
            "issuers": [issuer],
            "token_cache": {"entries": TOKEN_CACHE_ENTRIES, "max_age_seconds": 3600.0},
            "audit": {"destination": str(self.setup.folder / f"{self.name}.audit")},
            "log_level": "warning",
        }


class RecordingGateway(Gateway):
    """The gateway that keeps an AuditEvent of each request before it is answered, and hands them on to a file."""

    name = "recording-gateway"

    def settings(self) -> dict[str, object]:
        """The same configuration with AuditEvents."""
        folder = self.setup.folder
        events = {"spool": str(folder / f"{self.name}.spool"), "file": str(folder / f"{self.name}.events")}
        return {
            **super().settings(),
            "audit": {"destination": str(folder / f"{self.name}.audit"), "events": events},
        }
