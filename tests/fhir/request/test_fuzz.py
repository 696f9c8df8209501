"""Runs the fuzz target on its seeds, and with libFuzzer for some seconds in tests marked `fuzz`."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fhir.request.fuzz_request import SEEDS, check


@pytest.mark.parametrize("seed", SEEDS)
def test_the_invariant_holds_for_a_seed(seed: bytes) -> None:
    check(seed)


@pytest.mark.fuzz
def test_the_invariant_holds_for_what_the_fuzzer_finds(tmp_path: Path) -> None:
    for number, seed in enumerate(SEEDS):
        (tmp_path / str(number)).write_bytes(seed)
    options = ["-max_total_time=8", "-max_len=400", f"-artifact_prefix={tmp_path}/", str(tmp_path)]
    command = [sys.executable, "-m", "tests.fhir.request", *options]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert completed.returncode == 0, completed.stderr[-3000:]
