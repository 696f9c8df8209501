"""The file of recorded requests, whatever is in it, and what the report says of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.comparing.compare_policies import compare_policies
from gateway.commands.comparing.comparison_report import report_lines
from gateway.commands.comparing.recorded_file import RecordedFileError, RecordedRequests, read_recorded
from tests.commands.comparing.test_compare_policies import OLD, settings

_LINE = {
    "interaction": "read",
    "method": "GET",
    "client_id": "chart",
    "path": "/Observation/id-1",
    "scope": "user/*.rs",
}


def written(folder: Path, *lines: Any) -> Path:
    path = folder / "requests.jsonl"
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return path


def test_lines_of_one_shape_are_added_up_over_files_and_versions(tmp_path: Path) -> None:
    path = written(tmp_path, {**_LINE, "count": 3}, {**_LINE, "count": 4, "configuration": "abc"}, _LINE)
    other = tmp_path / "requests.jsonl.1"
    other.write_text(json.dumps({**_LINE, "count": 10}))
    recorded = read_recorded((path, other))
    assert ([count for _, count in recorded.counts], recorded.total, recorded.unreadable) == ([18], 18, 0)


def test_lines_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    deep = '{"interaction":"x","method":"GET","arguments":[{"name":"a","kind":"b","value":' + "[" * 100_000 + "\n"
    others = {**_LINE, "reach": {"compartment_type": "Patient", "others": 10**9}}
    path = written(tmp_path, _LINE, "\n", '{"torn', "\n", {**_LINE, "format": 2}, {**_LINE, "count": -1}, deep, others)
    assert read_recorded((path,)).unreadable == 6


def test_a_file_without_any_request_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(RecordedFileError, match=r"requests\.jsonl: holds no recorded request"):
        read_recorded((written(tmp_path, "nothing\n"),))


@pytest.mark.parametrize(
    "members",
    [
        {"path": "abc"},
        {"path": "/", "method": "BREW"},
        {"path": "/Observation", "query": "&&=%zz"},
        {"path": "/Patient/$x", "method": "POST", "arguments": [{"name": "", "kind": "resource", "value": [1]}]},
        {"path": "/Patient/$x", "method": "POST", "arguments": [{"name": "name", "kind": "name"}]},
        {"user": "nobody", "patient": "", "scope": "x" * 70_000},
        {"interaction": "unheard-of", "path": ""},
        {"undeclared": {"Nothing": ["x"]}, "reach": {"compartment_type": "Nothing"}},
    ],
)  # fmt: skip
def test_odd_lines_are_decided_or_not_and_do_no_harm(members: dict[str, Any], tmp_path: Path) -> None:
    recorded = read_recorded((written(tmp_path, {**_LINE, **members}),))
    assert compare_policies(OLD, OLD, recorded).total == 1


def test_the_report_names_the_most_frequent_changes_of_each_kind(tmp_path: Path) -> None:
    own = {**_LINE, "issuer": "https://fhir.example.org/auth", "user": "Practitioner/id-2", "decision": "permitted"}
    lines = [
        {**own, "path": f"/Observation/id-{number}", "interaction": "update", "method": "PUT", "count": 1000 + number,
         "scope": "patient/*.cruds", "patient": "id-1"}
        for number in range(25)
    ]  # fmt: skip
    page = {**own, "interaction": "page", "path": "", "count": 7}
    recorded: RecordedRequests = read_recorded((written(tmp_path, *lines, page, "garbage\n"),))
    report = list(report_lines(compare_policies(OLD, settings(writes={"allow": False}), recorded)))
    assert report[:2] == [
        "allowed -> refused: 25,300 requests",
        "  1,024 of chart: PUT /Observation/id-24 (refused now: writes_off)",
    ]
    assert report[21:] == [
        "  and 5 more; --json has them all",
        "unchanged: 0 requests",
        "could not be decided offline: 7 requests",
        "  7: page: what it depends on is sealed or kept here",
        "Note: 1 line could not be read.",
    ]
