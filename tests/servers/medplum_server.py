"""Medplum's repository in memory: a weak server without compartments and includes, which narrowing must cope with."""

from __future__ import annotations

from pathlib import Path

from scripts.node import find_node
from tests.servers.load import load as load_bundles
from tests.servers.population import population_transactions
from tests.servers.ports import free_port
from tests.servers.process import Server, start_process

SOURCE = Path(__file__).parent / "medplum"


def start_medplum(port: int | None = None, load: bool = True) -> Server:
    """Start it on a loopback port (a free one by default), holding the population unless `load` is false.

    Raises `NotAvailable` without Node and npm, `StartError` with the end of its log when it does not come up.
    """
    found = find_node()
    found.install(SOURCE, "Medplum's FHIR router")
    port = port or free_port()
    base_url = f"http://127.0.0.1:{port}/fhir"
    server = start_process("medplum", [found.node, str(SOURCE / "server.mjs"), str(port)], base_url)
    if load:
        try:
            load_bundles(base_url, population_transactions())
        except BaseException:
            server.stop()
            raise
    return server
