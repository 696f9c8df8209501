"""The servers of the benchmark as processes: the nginx upstream, the nginx proxy, the ASGI hello and the gateway."""

from __future__ import annotations

import http.client
import os
import socket
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
from bench.machine import NotHere, family, pinned
from bench.tokens import AUDIENCE, ISSUER, Issuer

ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 30.0

PUBLIC_BASE = "https://gateway.invalid/fhir"
TOKENS_REMEMBERED = 20_000
"""More than the row with 10 000 tokens sends: a cache that forgets the oldest and is asked in turn must hold all."""


class NotStarted(NotHere):
    """A server did not come up; the message carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Place:
    """What all servers of one run share: the folder for their files, what is served, and who signs the tokens."""

    folder: Path
    site: Site
    issuer: Issuer
    upstream_port: int
    envoy: Path


def free_port() -> int:
    """A port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server(ABC):
    """A server process on a loopback port, held to one core, its output in a log file."""

    name: str
    ready_path = "/fhir/metadata"

    def __init__(self, place: Place, core: int, port: int | None = None) -> None:
        self.place = place
        self.port = port or free_port()
        self._core = core
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The command line; writes the configuration that it names."""

    def environment(self) -> dict[str, str]:
        """Variables to add to our own."""
        return {}

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    def family(self) -> list[int]:
        """The ids of the process and its children."""
        return family(self.pid)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def file(self, suffix: str, text: str) -> Path:
        """Write a file that belongs to this server."""
        path = self.place.folder / f"{self.name}{suffix}"
        path.write_text(text)
        return path

    @property
    def _log(self) -> Path:
        return self.place.folder / f"{self.name}.log"

    def log_end(self) -> str:
        """The last of what the server said."""
        return self._log.read_text(errors="replace").strip()[-2000:]

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                pinned(self._core, self.command()),
                cwd=ROOT,
                env=os.environ | self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait(self) -> None:
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
        """Ask it to end, and end it after five seconds."""
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
    """(status, body) of one GET; OSError when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"{server.name} gave no HTTP answer: {error!r}") from error
    finally:
        connection.close()


_NGINX = """
daemon off;
master_process off;
pid {folder}/{name}.pid;
error_log stderr crit;
events {{ worker_connections 1024; multi_accept on; }}
http {{
  access_log off;
  sendfile on;
  tcp_nodelay on;
  tcp_nopush on;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  large_client_header_buffers 8 32k;
  client_body_temp_path {folder}/{name}.body;
  proxy_temp_path {folder}/{name}.proxy;
  fastcgi_temp_path {folder}/{name}.fastcgi;
  uwsgi_temp_path {folder}/{name}.uwsgi;
  scgi_temp_path {folder}/{name}.scgi;
{inside}
}}
"""

_STATIC = """
  open_file_cache max=100 inactive=1h;
  open_file_cache_valid 1h;
  types {{ }}
  etag off;
  map $arg_code $bundle {{ default all; ~^[a-z0-9-]+$ $arg_code; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    root {root};
    default_type application/fhir+json;
    location / {{ add_header ETag 'W/"1"'; }}
    location = /fhir/Observation {{ add_header ETag 'W/"1"'; try_files /bundles/$bundle =404; }}
    location = /fhir {{ add_header ETag 'W/"1"'; try_files /bundles/second =404; }}
    location /fhir/Binary/ {{ add_header ETag 'W/"1"'; default_type application/fhir+ndjson; }}
  }}
"""

_PROXY = """
  upstream fhir {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Authorization "";
  proxy_buffers 32 8k;
  proxy_max_temp_file_size 0;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ proxy_pass http://fhir; }}
  }}
"""


class Upstream(Server):
    """The FHIR server, as cheap as one can be: nginx with static files."""

    name = "upstream"

    def command(self) -> list[str]:
        inside = _STATIC.format(port=self.port, root=self.place.site.root)
        text = _NGINX.format(folder=self.place.folder, name=self.name, inside=inside)
        return _nginx(self.place.folder, self.file(".conf", text))


class NginxProxy(Server):
    """nginx that passes everything on and checks nothing: the floor of what a proxy costs."""

    name = "nginx"

    def command(self) -> list[str]:
        inside = _PROXY.format(port=self.port, upstream=self.place.upstream_port)
        text = _NGINX.format(folder=self.place.folder, name=self.name, inside=inside)
        return _nginx(self.place.folder, self.file(".conf", text))


def _nginx(folder: Path, configuration: Path) -> list[str]:
    return ["nginx", "-p", str(folder), "-c", str(configuration), "-e", "stderr"]


class Hello(Server):
    """uvicorn as the gateway runs it (uvloop, httptools, no access log), around an application that does nothing."""

    name = "hello"

    def environment(self) -> dict[str, str]:
        return {"BENCH_SITE": str(self.place.site.root)}

    def command(self) -> list[str]:
        serve = [sys.executable, "-m", "uvicorn", "bench.hello:app", "--host", "127.0.0.1", "--port", str(self.port)]
        return [*serve, "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]


class Gateway(Server):
    """The product: token check, decision, every entry verified, metrics and an audit line for each request."""

    name = "gateway"

    def command(self) -> list[str]:
        self.file(".jwks.json", self.place.issuer.jwks)
        settings = self.file(".yaml", yaml.safe_dump(self.settings(), sort_keys=False))
        return [sys.executable, "-m", "gateway", "serve", "--config", str(settings)]

    def settings(self) -> dict[str, object]:
        """The configuration, as an operator would write it: metrics on, the audit in a file."""
        issuer = {
            "issuer": ISSUER,
            "audiences": [AUDIENCE],
            "jwks_file": str(self.place.folder / f"{self.name}.jwks.json"),
        }
        return {
            "public_base_url": PUBLIC_BASE,
            "listen": {"port": self.port},
            "metrics": {"port": free_port()},
            "upstream": {"base_url": f"http://127.0.0.1:{self.place.upstream_port}/fhir"},
            "issuers": [issuer],
            "token_cache": {"entries": TOKENS_REMEMBERED, "max_age_seconds": 3600.0},
            "audit": {"destination": str(self.place.folder / f"{self.name}.audit")},
            "log_level": "warning",
        }
