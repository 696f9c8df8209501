"""sekmet-fhir: a real R4 server in pure Python, with compartment search, and so the upstream of `make run`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.install_once import ROOT, install_once, say
from tests.servers.load import LoadError
from tests.servers.load import load as load_bundles
from tests.servers.population import population_transactions, transaction, with_absolute_subject
from tests.servers.ports import free_port
from tests.servers.process import Server, StartError, run_until_stopped, start_process, with_leash

ENVIRONMENT = ROOT / ".venv-sekmet"
LOCK = ROOT / "requirements/sekmet.txt"


def install() -> Path:
    """The `sekmet` command, in a virtual environment of its own that is made again when the lock has changed."""
    return install_once(ENVIRONMENT, LOCK.read_text(), _install) / "bin/sekmet"


def _install(folder: Path) -> None:
    say(f"Installing sekmet-fhir into {folder.name} (once, half a minute) ...")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*pip, "-r", str(LOCK)], check=True)


def start_sekmet(port: int | None = None, load: bool = True, absolute_references: bool = False) -> Server:
    """Start sekmet on a loopback port (a free one by default), holding the population unless `load` is false.

    With `absolute_references` it answers every literal reference as an absolute URL, as some servers do.
    Raises `StartError` with the end of its log when it does not come up.
    """
    command = install()
    port = port or free_port()
    base_url = f"http://127.0.0.1:{port}/fhir"
    folder = Path(tempfile.mkdtemp(prefix="sekmet-"))
    settings = folder / "settings.yaml"
    settings.write_text(json.dumps(_settings(base_url, port, folder, absolute_references)))
    server = start_process("sekmet", with_leash([str(command), "serve", "-c", str(settings)]), base_url, folder=folder)
    if load:
        try:
            load_bundles(base_url, [*population_transactions(), transaction(with_absolute_subject(base_url))])
        except BaseException:
            server.stop()
            raise
    return server


def _settings(base_url: str, port: int, folder: Path, absolute_references: bool) -> dict[str, object]:
    """JSON is YAML; nothing is written outside `folder`, and no simulated hospital adds records of its own."""
    return {
        "base_url": base_url,
        "host": "127.0.0.1",
        "port": port,
        "db_path": ":memory:",
        "data_dir": str(folder),
        "log_inbound": False,
        "simulator": {"enabled": False},
        "server_behaviour": {"absolute_references": absolute_references},
    }


def main() -> None:
    """Run sekmet with the population until standard input closes or SIGTERM comes; the first line is its base URL."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers.sekmet", description=main.__doc__)
    parser.add_argument("--port", type=int, help="loopback port; a free one by default")
    parser.add_argument("--empty", action="store_true", help="do not load the synthetic patients")
    arguments = parser.parse_args()
    try:
        server = start_sekmet(arguments.port, load=not arguments.empty)
    except (StartError, LoadError, subprocess.CalledProcessError) as problem:
        parser.exit(1, f"{problem}\n")
    print(server.base_url, flush=True)  # noqa: T201
    run_until_stopped(server)


if __name__ == "__main__":
    main()
