"""Runs Helm on the chart, where it has been built into the cache outside of the clone."""

import json
import os
import subprocess
import tempfile
from typing import Any

import pytest
import yaml

from scripts.chart_files import CHART
from scripts.install_once import NotAvailable
from tests.chart.values import BASE_URL
from tests.kubernetes.programs import built

Manifest = dict[str, Any]
# The kinds of others, which Kubernetes knows once they are installed.
CUSTOM = {"monitoring.coreos.com/v1", "gateway.networking.k8s.io/v1"}


def run(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the cache; skip the test where there is none."""
    try:
        path = built(program)
    except NotAvailable as problem:
        pytest.skip(str(problem))
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HOME": home, "KUBECONFIG": "/dev/null"}
        return subprocess.run([path, *words], capture_output=True, text=True, check=False, env=environment)


def _with_values(words: list[str], names: tuple[str, ...], changes: dict[str, Any], program: str) -> Any:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        # Making a signing key takes Helm a second; the unit tests of the chart do it.
        changes = {"keys": {"signingKey": False}, **changes}
        json.dump({**changes, "config": {"public_base_url": BASE_URL, **changes.get("config", {})}}, file)
        file.flush()
        files = [word for name in names for word in ("--values", str(CHART / name))]
        return run(program, *words, *files, "--values", file.name)


def lint(*names: str, program: str = "helm", **changes: Any) -> subprocess.CompletedProcess[str]:
    """`helm lint --strict` with these files of values and these changes."""
    done: subprocess.CompletedProcess[str] = _with_values(["lint", "--strict", str(CHART)], names, changes, program)
    return done


def render(*names: str, program: str = "helm", **changes: Any) -> list[Manifest]:
    """What the chart renders with these files of values and these changes."""
    words = ["template", "gateway", str(CHART), "--namespace", "fhir"]
    done = _with_values(words, names, changes, program)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def find(manifests: list[Manifest], kind: str, ending: str = "") -> Manifest:
    """The one manifest of this kind whose name ends so."""
    found = [one for one in manifests if one["kind"] == kind and one["metadata"]["name"].endswith(ending)]
    assert len(found) == 1, [one["metadata"]["name"] for one in found]
    return found[0]
