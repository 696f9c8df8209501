"""Medplum's repository in memory: a weak server without compartments and includes, which narrowing must cope with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.servers.load import load as load_bundles
from tests.servers.population import bundles
from tests.servers.process import CACHE, Server, free_port, install_once, launch, need, say

SOURCE = Path(__file__).parent / "medplum"
_FILES = ("package.json", "package-lock.json", "server.mjs")


def install() -> Path:
    """The folder with Medplum's packages and our server, made again when one of our files has changed.

    Raises `NotAvailable` when this machine has no Node or no npm.
    """
    need("node")
    return install_once(CACHE / "medplum", "\n".join((SOURCE / name).read_text() for name in _FILES), _install)


def _install(folder: Path) -> None:
    need("npm")
    say("Installing Medplum's FHIR router from npm (once) ...")
    for name in _FILES:
        shutil.copy(SOURCE / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL)


def start_medplum(port: int | None = None, load: bool = True) -> Server:
    """Start it on a loopback port (a free one by default), holding the population unless `load` is false.

    Raises `NotAvailable` without Node, `NotStarted` with the end of its log when it does not come up.
    """
    folder = install()
    port = port or free_port()
    base_url = f"http://127.0.0.1:{port}/fhir"
    server = launch("medplum", ["node", str(folder / "server.mjs"), str(port)], base_url)
    if load:
        try:
            load_bundles(base_url, bundles())
        except BaseException:
            server.stop()
            raise
    return server
