"""The README says what the code does: the stations of a request, the commands, the dependencies, the files."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
DEPENDENCIES = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
MAX_LINES = 150


def test_the_readme_stays_short() -> None:
    assert len(TEXT.splitlines()) <= MAX_LINES


STATIONS = re.findall(r"`(gateway/[a-z_/]+\.py)` `([A-Za-z_.]+)`", TEXT)


def test_follow_a_request_names_the_stations() -> None:
    assert len(STATIONS) >= 8


@pytest.mark.parametrize(("path", "name"), STATIONS)
def test_every_station_of_follow_a_request_exists(path: str, name: str) -> None:
    value: object = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    for part in name.split("."):
        value = getattr(value, part)
    assert callable(value)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"(?:`|^)make ([a-z-]+)", TEXT, re.MULTILINE))))
def test_every_make_command_of_the_readme_exists(command: str) -> None:
    assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_dependency_is_named_with_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text[text.index("dependencies = [") : text.index("[project.optional")]
    named = {
        name.lower()
        for row in re.findall(r"^\| ([a-z0-9 ,-]+) \|", DEPENDENCIES, re.MULTILINE)
        for name in row.split(", ")
    }
    assert set(re.findall(r'"([a-z0-9-]+)==', block)) <= named


@pytest.mark.parametrize("path", ["LICENSE", "CHANGELOG.md", "config/gateway.yaml"])
def test_what_the_readme_counts_on_is_there(path: str) -> None:
    assert Path(ROOT, path).is_file()
