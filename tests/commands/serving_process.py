"""`smart-gateway serve` as a process of its own, with its log, its workers and its exit status."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from gateway.credentials.development_key import load_or_create_key, public_jwks, sign_access_token
from tests.servers.ports import free_port
from tests.servers.process import StartError, with_leash

ISSUER = "https://issuer.example"
_DEADLINE_SECONDS = 60.0


async def until(holds: Callable[[], bool], seconds: float = _DEADLINE_SECONDS) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while True:
            if holds():
                return
            await asyncio.sleep(0.02)


@dataclass
class ServingProcess:
    """One `serve`, beside a file of settings in `folder`. It can be stopped, and started again as it was."""

    folder: Path
    port: int
    metrics_port: int
    base_url: str
    workers: int = 1
    trusted_ca: Path | None = None
    _leash: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> str:
        """The URL of its public port."""
        return f"http://127.0.0.1:{self.port}" if self.trusted_ca is None else f"https://localhost:{self.port}"

    def start(self) -> "ServingProcess":
        """Start it; `ready` waits for it."""
        words = ["serve", "--config", str(self.folder / "gateway.yaml"), "--workers", str(self.workers)]
        with (self.folder / "log").open("ab") as log, (self.folder / "audit").open("ab") as audit:
            self._leash = subprocess.Popen(
                with_leash([sys.executable, "-m", "gateway", *words]),
                stdin=subprocess.PIPE,
                stdout=audit,
                stderr=log,
                start_new_session=True,
            )
        return self

    async def ready(self) -> "ServingProcess":
        """Wait until it is ready. Raises `StartError` if it ends before."""
        authorities = ssl.create_default_context(cafile=self.trusted_ca)
        async with httpx2.AsyncClient(trust_env=False, verify=authorities) as http, asyncio.timeout(_DEADLINE_SECONDS):
            while True:
                assert self._leash is not None
                if self._leash.poll() is not None:
                    raise StartError((self.folder / "log").read_text()[-2000:])
                with contextlib.suppress(httpx2.TransportError):
                    if (await http.get(f"{self.root}/readyz")).status_code == 200:
                        return self
                await asyncio.sleep(0.02)

    @property
    def pid(self) -> int:
        """The process that signals are for."""
        assert self._leash is not None
        [pid] = _children(self._leash.pid)
        return pid

    def worker_pids(self) -> list[int]:
        """The workers that run at the moment."""
        return _children(self.pid)

    def audit_count(self) -> int:
        """The number of its audit lines."""
        return (self.folder / "audit").read_bytes().count(b"\n")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    async def exit_status(self) -> int:
        """Wait until it has ended."""
        assert self._leash is not None
        await until(lambda: self._leash is not None and self._leash.poll() is not None)
        self.stop()
        return self._leash.returncode

    def log(self) -> list[dict[str, Any]]:
        """The lines of its operational log."""
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def events(self) -> list[str]:
        """The events of its operational log."""
        return [line["event"] for line in self.log()]

    def audit(self) -> list[dict[str, Any]]:
        """The lines of its audit log."""
        return [json.loads(line) for line in (self.folder / "audit").read_text().splitlines()]

    def token(self) -> str:
        """An access token that reads all of patient A."""
        claims = {
            "iss": ISSUER,
            "aud": self.base_url,
            "sub": "someone",
            "client_id": "app",
            "scope": "patient/*.rs",
            "patient": "A",
            "exp": int(time.time()) + 600,
        }
        return sign_access_token(load_or_create_key(self.folder / "key.json"), claims)

    def stop(self) -> None:
        """End it, however it is."""
        if self._leash is not None:
            assert self._leash.stdin is not None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._leash.pid, signal.SIGKILL)
            self._leash.stdin.close()
            self._leash.wait()


@contextlib.asynccontextmanager
async def serving_process(
    upstream: str,
    settings: Mapping[str, Any] | None = None,
    workers: int = 1,
    *,
    public_base_url: str | None = None,
    key_file: Path | None = None,
    trusted_ca: Path | None = None,
) -> AsyncIterator[ServingProcess]:
    """A ready gateway in front of `upstream`. It accepts tokens of `ISSUER`, which signs with the key of `key_file`.

    With `trusted_ca` it is asked by https; the settings say with which certificate it serves.
    """
    with tempfile.TemporaryDirectory(prefix="serving-") as name:
        port = free_port()
        base = public_base_url or f"http://127.0.0.1:{port}/fhir"
        # Two probes can find the same port.
        metrics_port = next(other for other in iter(free_port, None) if other != port)
        process = ServingProcess(Path(name), port, metrics_port, base, workers, trusted_ca)
        key_file, jwks = key_file or process.folder / "key.json", process.folder / "jwks.json"
        jwks.write_text(json.dumps(public_jwks(load_or_create_key(key_file))), encoding="ascii")
        values = {
            "public_base_url": base,
            "development": True,
            "listen": {"port": process.port},
            "metrics": {"port": process.metrics_port},
            "upstream": {"base_url": upstream},
            "issuers": [{"issuer": ISSUER, "audiences": [base], "jwks_file": str(jwks)}],
            **(settings or {}),
        }
        values["listen"] = {"port": process.port, **values["listen"]}
        (process.folder / "gateway.yaml").write_text(json.dumps(values), encoding="utf-8")
        try:
            yield await process.start().ready()
        finally:
            process.stop()


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
