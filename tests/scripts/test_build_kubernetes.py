"""The script that builds the cluster's programs says what is missing, and builds nothing where it shall only look."""

import os
import subprocess
from pathlib import Path

from scripts.install_once import ROOT


def _run(cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SMART_GATEWAY_CACHE": str(cache)}
    script = str(ROOT / "scripts" / "build_kubernetes")
    return subprocess.run([script, *words], capture_output=True, text=True, env=environment, check=False)


def test_an_empty_cache_is_seen_and_nothing_is_built(tmp_path: Path) -> None:
    done = _run(tmp_path, "--check")
    assert done.returncode == 1 and done.stdout.startswith("helm v")
    assert [file.name for file in (tmp_path / "bin").iterdir()] == [".versions"]


def test_a_program_of_another_version_counts_as_missing(tmp_path: Path) -> None:
    versions = tmp_path / "bin" / ".versions"
    versions.mkdir(parents=True)
    program = tmp_path / "bin" / "helm"
    program.touch(mode=0o755)
    (versions / "helm-v4.0.0").touch()
    assert _run(tmp_path, "--check", "helm").returncode == 1


def test_a_program_that_there_is_not_is_refused(tmp_path: Path) -> None:
    done = _run(tmp_path, "--check", "helmet")
    assert done.returncode == 2 and "helmet" in done.stderr
