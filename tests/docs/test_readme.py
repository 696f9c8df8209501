"""The README says what the code does: its tables, the way it shows, the commands it names."""

import importlib
import re
from pathlib import Path

import pytest

from gateway.fhir.problems import Problem
from gateway.policy.reasons import ANSWERS, Reason
from scripts.readme import README, filled

ROOT = README.parent
TEXT = README.read_text(encoding="utf-8")


def test_the_tables_are_as_the_code_says() -> None:
    assert filled(TEXT) == TEXT, "run: python -m scripts.readme"


def test_every_reason_has_an_answer_and_every_problem_of_a_request_is_a_reason() -> None:
    assert set(ANSWERS) == set(Reason)
    assert {problem.value for problem in Problem} <= {reason.value for reason in Reason}


STATIONS = re.findall(r"`(gateway/[a-z_/]+\.py)` `([A-Za-z_.]+)`", TEXT)


def test_follow_a_request_names_the_stations() -> None:
    assert len(STATIONS) >= 8


@pytest.mark.parametrize(("path", "name"), STATIONS)
def test_every_station_of_follow_a_request_exists(path: str, name: str) -> None:
    found: object = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    for part in name.split("."):
        found = getattr(found, part)
    assert callable(found)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"(?:`|^)make ([a-z-]+)", TEXT, re.MULTILINE))))
def test_every_make_command_of_the_readme_exists(command: str) -> None:
    assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_dependency_is_named_with_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text[text.index("dependencies = [") : text.index("[project.optional")]
    named = {
        name.lower() for row in re.findall(r"^\| ([a-z0-9 ,-]+) \|", TEXT, re.MULTILINE) for name in row.split(", ")
    }
    assert set(re.findall(r'"([a-z0-9-]+)==', block)) <= named


@pytest.mark.parametrize("path", ["LICENSE", "CHANGELOG.md", "config/gateway.yaml"])
def test_what_the_readme_counts_on_is_there(path: str) -> None:
    assert Path(ROOT, path).is_file()
