"""The version of a configuration: the same in every process that decides alike, and nothing that tells a secret."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.settings.loading.configuration import Configuration
from gateway.settings.loading.load import load_configuration

BASE: dict[str, Any] = {
    "public_base_url": "https://gateway.example/fhir",
    "upstream": {
        "base_url": "https://server.example/fhir",
        "authentication": {"kind": "basic", "username": "gateway", "password": "a-long-password"},
    },
    "issuers": [{"issuer": "https://issuer.example", "audiences": ["x"], "jwks_file": "jwks.json"}],
    "compartments": {"shared_types": ["Location", "Organization", "Practitioner", "Medication"]},
}


def _load(folder: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Configuration:
    folder.mkdir(exist_ok=True)
    values = json.loads(json.dumps(BASE))
    jwks = folder / "jwks.json"
    if not jwks.exists():
        jwks.write_text('{"keys": []}')
    values["issuers"][0]["jwks_file"] = str(jwks)
    change(values)
    (folder / "gateway.yaml").write_text(json.dumps(values))
    return load_configuration(folder / "gateway.yaml", {})


SAME: dict[str, Callable[[dict[str, Any]], object]] = {
    "another order of what has none": lambda values: values["compartments"]["shared_types"].reverse(),
    "a default that is written out": lambda values: values.update({"log_level": "info"}),
    "another port": lambda values: values.update({"listen": {"port": 1}, "metrics": {"port": None}}),
    "another secret": lambda values: values["upstream"]["authentication"].update({"password": "another-password"}),
}


@pytest.mark.parametrize("case", SAME)
def test_the_version_stays_with(tmp_path: Path, case: str) -> None:
    assert _load(tmp_path / "one").version == _load(tmp_path / "other", SAME[case]).version


OTHER: dict[str, Callable[[dict[str, Any]], object]] = {
    "a policy": lambda values: values["compartments"]["shared_types"].pop(),
    "a limit": lambda values: values.update({"limits": {"bundle_entries": 7}}),
    "an audience": lambda values: values["issuers"][0].update({"audiences": ["y"]}),
    "whether there is a secret": lambda values: values["upstream"].update({"authentication": {"kind": "none"}}),
}


@pytest.mark.parametrize("case", OTHER)
def test_the_version_changes_with(tmp_path: Path, case: str) -> None:
    first = _load(tmp_path)
    assert len(first.version) == 12
    assert first.version != _load(tmp_path, OTHER[case]).version


def test_the_content_of_a_file_counts_and_a_secret_makes_another_configuration(tmp_path: Path) -> None:
    first = _load(tmp_path)
    assert first.is_same(_load(tmp_path))
    (tmp_path / "jwks.json").write_text('{"keys": [{}]}')
    second = _load(tmp_path)
    assert first.version != second.version
    assert not first.is_same(second)
    third = _load(tmp_path, SAME["another secret"])
    assert third.version == second.version
    assert not third.is_same(second)


def test_the_version_is_the_same_in_another_process(tmp_path: Path) -> None:
    version = _load(tmp_path).version
    program = (
        "import sys, pathlib; from gateway.settings.loading.load import load_configuration as load;"
        "print(load(pathlib.Path(sys.argv[1]), {}).version)"
    )
    for seed in ("1", "2"):
        command = [sys.executable, "-c", program, str(tmp_path / "gateway.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONHASHSEED": seed}, check=True)
        assert done.stdout.strip() == version


def test_all_files_are_known_but_those_that_are_written_to(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("a-long-password")

    def change(values: dict[str, Any]) -> None:
        values["upstream"]["authentication"] = {"kind": "basic", "username": "x", "password_file": str(secret)}
        values["audit"] = {"destination": str(tmp_path / "audit.log")}

    names = [path.name for path in _load(tmp_path, change).files]
    assert names == ["gateway.yaml", "password", "jwks.json"]
