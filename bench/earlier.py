"""The gateway as it was at an earlier commit, as the peer of the gateway as it is now."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from bench.machine import MissingRequirement
from bench.scenarios import SCENARIOS, Scenario
from bench.servers import ROOT, Gateway

READS = ("read-2kb", "bundle-60kb", "half-dropped", "page-of-20", "scopes-20")
"""The rows that are measured when none is named: reads and searches, which must not become slower by more than 3 %."""


def compare_with_earlier(commit: str, names: list[str], folder: Path) -> list[Scenario]:
    """The rows beside the gateway of `commit`, whose files are written into `folder` and which runs with this venv.

    Raises `MissingRequirement` if there is no such commit here.
    """
    archive = subprocess.run(["git", "archive", commit, "gateway"], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        raise MissingRequirement(f"{commit} cannot be read: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")

    class EarlierGateway(Gateway):
        """The gateway of that commit, with the same settings."""

        name = "earlier-gateway"
        root = folder

    loads = {scenario.name: scenario.load for scenario in reversed(SCENARIOS) if scenario.ours is Gateway}
    return [
        Scenario(name, commit, Gateway, EarlierGateway, loads[name], loads[name])
        for name in dict.fromkeys(name.partition(":")[0] for name in names or READS)
        if name in loads
    ]
