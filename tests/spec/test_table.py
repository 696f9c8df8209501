"""The output of `make spec`, and when it fails."""

import pytest

from scripts import spec
from tests.spec.manifest import Requirement

LINES = [
    Requirement("A-1", "SHALL", "here", "One"),
    Requirement("A-2", "SHALL NOT", "here", "Two", divergence="It is otherwise."),
    Requirement("A-3", "SHOULD", "here", "Three", documented="README.md#three"),
    Requirement("A-4", "MAY", "here", "Four"),
]
TABLES: dict[str, tuple[dict[str, list[str]], int, str]] = {
    "every SHALL is answered": ({"A-1": ["test_a.py::test_one"]}, 0, "SHALL 2 of 2, SHOULD 1 of 1"),
    "a SHALL has neither test nor divergence": ({}, 1, "SHALL 1 of 2, SHOULD 1 of 1"),
}


@pytest.mark.parametrize(("tests", "code", "last"), TABLES.values(), ids=TABLES)
def test_the_last_line_is_the_score_and_an_open_shall_fails(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tests: dict[str, list[str]],
    code: int,
    last: str,
) -> None:
    monkeypatch.setattr(spec, "requirements", lambda: LINES)
    monkeypatch.setattr(spec, "covering_tests", lambda: tests)
    monkeypatch.setattr("sys.argv", ["spec"])
    assert spec.main() == code
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == last
    assert [line.split()[0] for line in printed[:-1]] == [line.id for line in LINES]
    assert "diverges" in printed[1]
    assert "open" in printed[3]
