"""Every attempt of the corpus has a test: `attempts.txt` names it."""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

from gateway.commands.selftesting.attempts import read_attempts

TESTS = Path(__file__).parents[2]
LEAKS = TESTS.parent / "docs" / "design" / "leaks.md"
_LINE = re.compile(r"(?P<id>leak_\d\d|[WO]\d\d) \| (?P<attempt>[^|]+) \| (?P<file>[a-z_/]+\.py)::(?P<test>\w+)")
# Cases of writes and operations.
CASES = frozenset(
    ["W01", "W02", "W04", "W06", "W07", "W10", "W11", "W13", "W14", "W17", "W18", "W19", "W21", "O02", "O04", "O06"]
)


def _read_attempts() -> list[re.Match[str]]:
    text = Path(__file__).with_name("attempts.txt").read_text(encoding="ascii")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    matches = [_LINE.fullmatch(line) for line in lines]
    assert None not in matches, lines[matches.index(None)]
    return [match for match in matches if match is not None]


ATTEMPTS = _read_attempts()


@cache
def _tests_in(path: Path) -> frozenset[str]:
    """The names of the tests of a file, and the ids of the cases in the table beside it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    names = {function.name for function in functions if function.name.startswith("test_")}
    match path.relative_to(TESTS).as_posix():
        case "proxy/writing/test_cases.py":
            text = path.with_name("cases.txt").read_text(encoding="ascii")
            names |= set(re.findall(r"^(W\d\d) ", text, re.MULTILINE))
        case "proxy/leaks/test_operation_cases.py":
            names |= {case["id"] for case in json.loads(path.with_name("operation_cases.json").read_bytes())}
    return frozenset(names)


def test_every_line_of_the_corpus_has_a_test() -> None:
    leaks = set(re.findall(r"^\| `(leak_\d\d)` \|", LEAKS.read_text(encoding="utf-8"), re.MULTILINE))
    assert {attempt["id"] for attempt in ATTEMPTS} == leaks | CASES


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=[f"{one['id']} {one['attempt']}" for one in ATTEMPTS])
def test_there_is_a_test_of(attempt: re.Match[str]) -> None:
    assert attempt["test"] in _tests_in(TESTS / attempt["file"])


# What is seen only with a server, a store or a token of one's own, with a record that was moved, or with a rule.
NEEDS_MORE = {
    "leak_11", "leak_12", "leak_18", "leak_20", "leak_25", "leak_28", *(f"leak_{number}" for number in range(31, 45)),
}  # fmt: skip
# What the self-test tries in other ways: constrained scopes, and forged, replayed and revoked tokens.
TRIED_ELSEWHERE = {"leak_17", "leak_24"}


def test_every_leak_is_tried_from_outside_or_needs_more_than_that() -> None:
    leaks = set(re.findall(r"^\| `(leak_\d\d)` \|", LEAKS.read_text(encoding="utf-8"), re.MULTILINE))
    assert {attempt.id for attempt in read_attempts()} == leaks - NEEDS_MORE - TRIED_ELSEWHERE


def test_every_leak_that_a_test_is_named_for_is_listed() -> None:
    folders = [folder for folder in TESTS.iterdir() if folder.is_dir() and folder.name != "clients"]
    sources = [path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("test_*.py")]
    named = {name for source in sources for name in re.findall(r"def test_(leak_\d\d)_", source)}
    assert named
    assert named <= {attempt["id"] for attempt in ATTEMPTS}
