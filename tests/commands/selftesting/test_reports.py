"""What a self-test says: the lines of a terminal, JSON and JUnit XML."""

import json
from xml.etree import ElementTree

import httpx2
import pytest

from gateway.commands.selftesting.check_results import (
    CheckError,
    CheckResult,
    CheckResults,
    CheckWarning,
    Outcome,
    SkippedCheck,
)
from gateway.commands.selftesting.reports import json_report, junit_report, result_lines, summary_line


def make_results() -> CheckResults:
    results = CheckResults(lambda result: None)
    with results.check("a", "it holds", "never said"):
        pass
    with results.check("a", "it does not <hold>", "Look there."):
        raise CheckError("found \x00 & lost", sent="GET /x")
    with results.check("b", "it does not apply", "never said"):
        raise SkippedCheck("there is none")
    with results.check("b", "somebody should know", "Look."):
        raise CheckWarning("it is open")
    with results.check("b", "somebody answers"):
        raise httpx2.ConnectError("for http://127.0.0.1/?code=a1b2")
    return results


def test_each_outcome_has_its_lines() -> None:
    lines = [list(result_lines(result)) for result in make_results().results]
    assert lines == [
        ["ok       a: it holds"],
        [
            "FAILED   a: it does not <hold>",
            "         found: found \x00 & lost",
            "         sent: GET /x",
            "         to do: Look there.",
        ],
        ["skipped  b: it does not apply", "         found: there is none"],
        ["WARNING  b: somebody should know", "         found: it is open", "         to do: Look."],
        ["FAILED   b: somebody answers", "         found: there was no complete response: ConnectError"],
    ]
    assert summary_line(make_results()) == "5 checks: 1 ok, 2 failed, 1 skipped, 1 warning."


def test_json_has_every_result_and_the_counts() -> None:
    document = json.loads(json_report(make_results(), url="https://fhir.example.org/r4", complete=True))
    assert document["counts"] == {"ok": 1, "failed": 2, "skipped": 1, "warning": 1}
    assert (document["url"], document["complete"]) == ("https://fhir.example.org/r4", True)
    assert [check["outcome"] for check in document["checks"]] == ["ok", "failed", "skipped", "warning", "failed"]


def test_junit_is_valid_xml_whatever_was_found() -> None:
    root = ElementTree.fromstring(junit_report(make_results()))
    first, other = root
    assert (first.attrib["name"], first.attrib["tests"], first.attrib["failures"], first.attrib["skipped"]) == (
        "a", "2", "1", "0",
    )  # fmt: skip
    failure = first[1][0]
    assert (failure.tag, failure.attrib["message"]) == ("failure", "found ? & lost")
    assert "to do: Look there." in (failure.text or "")
    assert [child.tag for case in other for child in case] == ["skipped", "system-out", "failure"]
    assert (other.attrib["failures"], other.attrib["skipped"], other.attrib["errors"]) == ("1", "1", "0")


def test_what_is_no_matter_of_a_check_passes_through() -> None:
    results = CheckResults(lambda result: None)
    with pytest.raises(KeyboardInterrupt), results.check("a", "it holds"):
        raise KeyboardInterrupt
    assert results.results == []


def test_an_answer_of_another_form_is_a_failure() -> None:
    results = CheckResults(lambda result: None)
    body: dict[str, object] = {}
    with results.check("a", "it holds", "Look there."):
        body["issuer"]
    [result] = results.results
    assert (result.outcome, result.remedy) == (Outcome.FAILED, "Look there.")
    assert result.found == "an answer does not have the form that it must have (KeyError)"


def test_each_result_is_told_at_once() -> None:
    told: list[CheckResult] = []
    results = CheckResults(told.append)
    results.skip("a", "it holds", "there is none")
    assert [(result.outcome, result.found) for result in told] == [(Outcome.SKIPPED, "there is none")]
