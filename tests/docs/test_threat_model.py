"""Every threat of SECURITY.md names tests that exist, and every boundary is looked at by all of STRIDE."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
BOUNDARIES = {
    "App and gateway", "Browser and SMART server", "Gateway and FHIR server", "Gateway and store",
    "Gateway and identity provider", "Operator and admin API", "Tokens of other issuers",
}  # fmt: skip


@dataclass(frozen=True)
class Threat:
    """A row of the page. `tests` are files below `tests` with the name of a function."""

    boundary: str
    letter: str
    text: str
    protection: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.boundary}: {self.text}"


def _threats() -> Iterator[Threat]:
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        rows = re.findall(r"^\| ([STRIDE]) \| (.+?) \| (.+?) \| (.*?) \|$", section, re.MULTILINE)
        for letter, text, protection, tests in rows:
            named = tuple(re.findall(r"`([^`]+)`", tests))
            yield Threat(section.partition("\n")[0], letter, text, protection, named)


THREATS = tuple(_threats())


@cache
def _functions(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def exists(test: str) -> bool:
    """Whether a test is defined where it is said to be, and pytest collects it by its name."""
    path, _, name = test.partition("::")
    file = ROOT / "tests" / path
    return name.startswith("test_") and file.name.startswith("test_") and file.is_file() and name in _functions(file)


@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_a_threat_names_tests_that_exist(threat: Threat) -> None:
    assert threat.tests, "a threat without a test is not protected against"
    assert [test for test in threat.tests if not exists(test)] == []


def test_every_boundary_is_looked_at_by_all_of_stride() -> None:
    assert {threat.boundary for threat in THREATS} >= BOUNDARIES
    for boundary in {threat.boundary for threat in THREATS}:
        letters = {threat.letter for threat in THREATS if threat.boundary == boundary}
        assert letters == set("STRIDE"), boundary


@pytest.mark.parametrize(
    "test",
    [
        "proxy/test_hostile.py::test_that_nobody_has_written",
        "proxy/test_nothing.py::test_no_byte_of_b_leaves",
        "proxy/test_hostile.py",
        "proxy/pages.py::fetch_page",
    ],
)
def test_what_is_no_test_is_noticed(test: str) -> None:
    assert not exists(test)


def test_every_row_of_the_page_is_read() -> None:
    assert len(THREATS) == len(re.findall(r"^\| [A-Z] \|", PAGE, re.MULTILINE)) >= 42
