"""Two real bulk export clients: smart-fetch, which the makers of SMART use for research, and the one of sekmet-fhir."""

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from scripts.install_once import CACHE, NotAvailable, install_once, say
from tests.servers.sekmet import install as install_sekmet
from tests.smart_server.running_server import BACKEND_KEY, RunningServer

_LOCK = Path(__file__).parent / "smart-fetch.txt"
_INSTALL_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a client ended, and what it printed."""

    status: int
    output: str


def install_smart_fetch() -> Path:
    """The `smart-fetch` command, in an environment of its own. Raises `NotAvailable`."""
    return install_once(CACHE / "smart-fetch", _LOCK.read_text(), _install) / "bin/smart-fetch"


def _install(folder: Path) -> None:
    say("Installing smart-fetch from PyPI (once, half a minute) ...")
    pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([*pip, "-r", str(_LOCK)], check=True, timeout=_INSTALL_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
        raise NotAvailable("pip could not install smart-fetch, which needs its registry once.") from problem


async def run_smart_fetch(server: RunningServer, folder: Path, client_id: str, *options: str) -> Outcome:
    """Export with smart-fetch into `folder / "out"`."""
    key = folder / "key.jwks"
    key.write_text(json.dumps({"keys": [{**BACKEND_KEY.as_dict(private=True), "alg": "RS384", "key_ops": ["sign"]}]}))
    return await _run(
        folder, str(await asyncio.to_thread(install_smart_fetch)), "bulk", "--fhir-url", server.base,
        "--smart-client-id", client_id, "--smart-key", str(key), "--no-compression", *options, str(folder / "out"),
    )  # fmt: skip


async def run_sekmet_client(server: RunningServer, folder: Path, client_id: str, *options: str) -> Outcome:
    """Export with sekmet's client, which validates every line. It polls once a second, whatever the server asks."""
    key, settings = folder / "key.pem", folder / "settings.yaml"
    key.write_bytes(BACKEND_KEY.as_pem(private=True))
    auth = {"type": "smart", "client_id": client_id, "private_key_path": str(key), "kid": "backend-1"}
    configuration = {
        "base_url": "http://127.0.0.1:9/fhir",
        "db_path": ":memory:",
        "data_dir": str(folder),
        "simulator": {"enabled": False},
        "peers": {"gateway": {"base_url": server.base, "auth": auth}},
    }
    settings.write_text(json.dumps(configuration))
    return await _run(
        folder, str(await asyncio.to_thread(install_sekmet)), "bulk", "export", "--peer", "gateway",
        "--poll-max", "1", "--config", str(settings), *options,
    )  # fmt: skip


async def _run(folder: Path, *command: str) -> Outcome:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return Outcome(process.returncode, output.decode())
