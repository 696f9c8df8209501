"""The requirements of SMART App Launch, and the tests that are marked as covering them."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "tests/spec/requirements.yaml"
LEVELS = ("SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "MAY", "RFC", "DEC")
# Other ids that tests may have: rows of test suites of others, edge cases, and lines of other sections.
_SUITE_ROW = re.compile(r"suite-[A-Za-z]+[0-9]+[a-z]?")
_EDGE_CASE = re.compile(r"edge-([1-9][0-9]{0,2})[a-z]?")
_EDGE_CASES = 161
_OTHER_SECTIONS = {"RS": 14, "UB": 16, "TL": 4, "ER": 2, "BP": 7, "EX": 3, "WE": 4}
_OTHER_LINE = re.compile(r"([A-Z]{2})-([1-9][0-9]?)")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of the file, which explains each member."""

    id: str
    level: str
    source: str
    text: str
    divergence: str = ""
    documented: str = ""

    @property
    def is_mandatory(self) -> bool:
        """Whether the level is SHALL or SHALL NOT."""
        return self.level in {"SHALL", "SHALL NOT"}

    @property
    def is_recommended(self) -> bool:
        """Whether the level is SHOULD or SHOULD NOT."""
        return self.level in {"SHOULD", "SHOULD NOT"}


@dataclass(frozen=True, slots=True)
class Mark:
    """An id that a test is marked with. `test` is its file below `tests` and its name."""

    id: str
    test: str
    is_collected: bool


def requirements() -> list[Requirement]:
    """All lines of the file, in its order."""
    lines: list[Mapping[str, Any]] = yaml.safe_load(REQUIREMENTS.read_text(encoding="utf-8"))
    return [Requirement(**line) for line in lines]


def marks() -> list[Mark]:
    """All ids that tests are marked with, in the order of files."""
    files = (path for path in sorted(ROOT.glob("tests/**/*.py")) if "node_modules" not in path.parts)
    return [mark for path in files for mark in marks_of(path)]


def marks_of(path: Path) -> Iterator[Mark]:
    """The ids in one file: as decorators of tests, or in its tables, which count for the whole file."""
    text = path.read_text(encoding="utf-8")
    if "mark.requirement" not in text:
        return
    name = path.relative_to(ROOT / "tests").as_posix()
    is_test_file = path.name.startswith("test_")
    decorators: set[int] = set()
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                decorators.update(id(part) for part in ast.walk(decorator))
                is_collected = is_test_file and node.name.startswith("test_")
                yield from _marks_within(decorator, f"{name}::{node.name}", is_collected=is_collected)
    for node in ast.walk(tree):
        if id(node) not in decorators and isinstance(node, ast.Call):
            yield from (Mark(requirement_id, name, is_test_file) for requirement_id in _ids_of(node))


def _marks_within(tree: ast.AST, test: str, *, is_collected: bool) -> Iterator[Mark]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from (Mark(requirement_id, test, is_collected) for requirement_id in _ids_of(node))


def _ids_of(call: ast.Call) -> list[str]:
    """The arguments of a call of `pytest.mark.requirement`, as in the source."""
    function = call.func
    if not (isinstance(function, ast.Attribute) and function.attr == "requirement"):
        return []
    if not (isinstance(function.value, ast.Attribute) and function.value.attr == "mark"):
        return []
    return [
        str(argument.value) if isinstance(argument, ast.Constant) else ast.unparse(argument) for argument in call.args
    ]


def is_known(name: str, known: set[str]) -> bool:
    """Whether an id is a line of the file, an edge case, a row of a suite, or a line of another section."""
    if name in known or _SUITE_ROW.fullmatch(name):
        return True
    edge = _EDGE_CASE.fullmatch(name)
    if edge is not None:
        return int(edge[1]) <= _EDGE_CASES
    other = _OTHER_LINE.fullmatch(name)
    return other is not None and int(other[2]) <= _OTHER_SECTIONS.get(other[1], 0)


def covering_tests() -> dict[str, list[str]]:
    """The tests that are marked with each id, without repetitions."""
    tests_by_id: dict[str, list[str]] = {}
    for mark in marks():
        tests = tests_by_id.setdefault(mark.id, [])
        if mark.test not in tests:
            tests.append(mark.test)
    return tests_by_id


def has_anchor(place: str) -> bool:
    """Whether a place such as `README.md#settings` exists: the file, and a heading of that name."""
    name, _, anchor = place.partition("#")
    path = ROOT / name
    if not path.is_file():
        return False
    headings = re.findall(r"^#+ +(.+?) *$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in {_slug(heading) for heading in headings}


def _slug(heading: str) -> str:
    """The anchor of a heading, as code forges make it: lower case, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
