"""Every requirement is covered, and every id that a test is marked with exists."""

from collections import Counter
from pathlib import Path

import pytest

from tests.spec.manifest import (
    LEVELS,
    Requirement,
    covering_tests,
    has_anchor,
    is_known,
    marks,
    marks_of,
    requirements,
)

LINES = requirements()
TESTS = covering_tests()


def test_every_line_has_its_own_id_a_level_a_source_and_words() -> None:
    assert {name: count for name, count in Counter(line.id for line in LINES).items() if count > 1} == {}
    assert [line.id for line in LINES if line.level not in LEVELS] == []
    assert [line.id for line in LINES if not line.source or not line.text] == []
    # The number of requirements on a server in sections 1.1 to 1.16, 1.18 and 1.19 of the guide.
    assert len(LINES) == 279


@pytest.mark.parametrize("line", LINES, ids=[line.id for line in LINES])
def test_a_line_is_kept_by_a_test_or_says_why_not(line: Requirement) -> None:
    tests = TESTS.get(line.id, [])
    answers = [bool(tests), bool(line.divergence), bool(line.documented)]
    assert sum(answers) == 1, (
        f"{line.id} ({line.text}) needs exactly one of a test, a divergence and a place in the documentation; "
        f"it has the tests {tests}, the divergence {line.divergence!r} and the place {line.documented!r}"
    )


def test_every_id_that_a_test_carries_is_one() -> None:
    known = {line.id for line in LINES}
    assert [f"{mark.test} has {mark.id}" for mark in marks() if not is_known(mark.id, known)] == []


def test_every_id_is_carried_by_a_test_that_runs() -> None:
    assert [f"{mark.id} is on {mark.test}, which is not a test" for mark in marks() if not mark.is_collected] == []


@pytest.mark.parametrize("line", [line for line in LINES if line.documented], ids=lambda line: line.id)
def test_a_place_in_the_documentation_is_there(line: Requirement) -> None:
    assert has_anchor(line.documented), f"{line.id} is said to be documented at {line.documented}, which is not there"


@pytest.mark.parametrize("line", [line for line in LINES if line.divergence], ids=lambda line: line.id)
def test_a_divergence_is_one_sentence(line: Requirement) -> None:
    assert line.divergence.endswith(".")
    assert ". " not in line.divergence


@pytest.mark.parametrize(
    ("name", "known"),
    [("A-4", True), ("A-400", False), ("edge-161", True), ("edge-62b", True), ("edge-162", False), ("edge-0", False),
     ("suite-D1", True), ("suite-", False), ("RS-14", True), ("RS-15", False), ("XX-1", False), ("a-4", False)],
)  # fmt: skip
def test_an_id_is_known(name: str, known: bool) -> None:
    assert is_known(name, {line.id for line in LINES}) is known


def test_ids_are_read_from_the_source_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "TABLE = [pytest.param(1, marks=pytest.mark.requirement('A-3'))]\n"
        "@pytest.mark.requirement('A-1', 'A-2')\n"
        "async def test_it() -> None: ...\n"
        "@pytest.mark.requirement(NAME)\n"
        "def helper() -> None: ...\n"
        "@other.requirement('A-4')\n"
        "def test_another() -> None: ...\n"
    )
    monkeypatch.setattr("tests.spec.manifest.ROOT", tmp_path)
    tmp_path.joinpath("tests").mkdir()
    path = tmp_path / "tests/test_one.py"
    path.write_text(source, encoding="utf-8")
    ids = [(mark.id, mark.test, mark.is_collected) for mark in marks_of(path)]
    assert ids == [
        ("A-1", "test_one.py::test_it", True),
        ("A-2", "test_one.py::test_it", True),
        ("NAME", "test_one.py::helper", False),
        ("A-3", "test_one.py", True),
    ]
