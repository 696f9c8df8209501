"""The requirements and the tests, compared both ways: no line without an answer, no id without a line."""

from collections import Counter
from pathlib import Path

import pytest

from tests.spec.manifest import (
    LEVELS,
    Requirement,
    has_anchor,
    is_known,
    kept_by,
    marks,
    marks_of,
    requirements,
)

LINES = requirements()
TESTS = kept_by()


def test_every_line_has_its_own_id_a_level_a_source_and_words() -> None:
    assert {name: count for name, count in Counter(one.id for one in LINES).items() if count > 1} == {}
    assert [one.id for one in LINES if one.level not in LEVELS] == []
    assert [one.id for one in LINES if not one.source or not one.text] == []
    # So many lines of the guide's sections 1.1 to 1.16 and 1.18 bind a server; none may get lost.
    assert len(LINES) == 258


@pytest.mark.parametrize("line", LINES, ids=[one.id for one in LINES])
def test_a_line_is_kept_by_a_test_or_says_why_not(line: Requirement) -> None:
    tests = TESTS.get(line.id, [])
    answers = [bool(tests), bool(line.divergence), bool(line.documented)]
    assert sum(answers) == 1, (
        f"{line.id} ({line.text}) needs exactly one of a test, a divergence and a place in the documentation; "
        f"it has the tests {tests}, the divergence {line.divergence!r} and the place {line.documented!r}"
    )


def test_every_id_that_a_test_carries_is_one() -> None:
    known = {one.id for one in LINES}
    assert [f"{one.test} carries {one.id}" for one in marks() if not is_known(one.id, known)] == []


def test_every_id_is_carried_by_a_test_that_runs() -> None:
    assert [f"{one.id} is carried by {one.test}, which is no test" for one in marks() if not one.runs] == []


@pytest.mark.parametrize("line", [one for one in LINES if one.documented], ids=lambda one: one.id)
def test_a_place_in_the_documentation_is_there(line: Requirement) -> None:
    assert has_anchor(line.documented), f"{line.id} is said to be documented at {line.documented}, which is not there"


@pytest.mark.parametrize("line", [one for one in LINES if one.divergence], ids=lambda one: one.id)
def test_a_divergence_is_one_sentence(line: Requirement) -> None:
    assert line.divergence.endswith(".")
    assert ". " not in line.divergence


@pytest.mark.parametrize(
    ("name", "known"),
    [("A-4", True), ("A-400", False), ("edge-161", True), ("edge-62b", True), ("edge-162", False), ("edge-0", False),
     ("suite-D1", True), ("suite-", False), ("RS-14", True), ("RS-15", False), ("XX-1", False), ("a-4", False)],
)  # fmt: skip
def test_an_id_is_known(name: str, known: bool) -> None:
    assert is_known(name, {one.id for one in LINES}) is known


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
    found = [(one.id, one.test, one.runs) for one in marks_of(path)]
    assert found == [
        ("A-1", "test_one.py::test_it", True),
        ("A-2", "test_one.py::test_it", True),
        ("NAME", "test_one.py::helper", False),
        ("A-3", "test_one.py", True),
    ]
