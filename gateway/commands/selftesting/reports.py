"""What a self-test says: lines for a terminal, and documents for machines."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

from gateway.commands.selftesting.check_results import CheckResult, CheckResults, Outcome

_WORDS = {Outcome.OK: "ok", Outcome.FAILED: "FAILED", Outcome.SKIPPED: "skipped", Outcome.WARNING: "WARNING"}
# What XML 1.0 cannot hold.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def result_lines(result: CheckResult) -> Iterator[str]:
    """The lines of one check."""
    yield f"{_WORDS[result.outcome]:<8} {result.family}: {result.sentence}"
    for name, text in (("found", result.found), ("sent", result.sent), ("to do", result.remedy)):
        if text:
            yield f"         {name}: {text}"


def summary_line(results: CheckResults) -> str:
    """How many checks had which outcome."""
    counts = ", ".join(f"{results.count(outcome)} {outcome}" for outcome in Outcome if results.count(outcome))
    return f"{len(results.results)} checks: {counts or 'none'}."


def json_report(results: CheckResults, **about: object) -> str:
    """All results as JSON; `about` are members that say what was checked."""
    checks = [
        {
            "family": result.family,
            "sentence": result.sentence,
            "outcome": result.outcome.value,
            "seconds": round(result.seconds, 3),
            "found": result.found,
            "sent": result.sent,
            "remedy": result.remedy,
        }
        for result in results.results
    ]
    counts = {outcome.value: results.count(outcome) for outcome in Outcome}
    document: dict[str, Any] = {**about, "counts": counts, "checks": checks}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def junit_report(results: CheckResults) -> str:
    """All results as JUnit XML, a suite for each family."""
    root = ElementTree.Element("testsuites", name="smart-gateway selftest")
    families = dict.fromkeys(result.family for result in results.results)
    for family in families:
        root.append(_suite(family, [result for result in results.results if result.family == family]))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(family: str, results: Sequence[CheckResult]) -> ElementTree.Element:
    def count(outcome: Outcome) -> str:
        return str(sum(result.outcome is outcome for result in results))

    suite = ElementTree.Element(
        "testsuite",
        name=family,
        tests=str(len(results)),
        failures=count(Outcome.FAILED),
        errors="0",
        skipped=count(Outcome.SKIPPED),
        time=f"{sum(result.seconds for result in results):.3f}",
    )
    suite.extend(_case(result) for result in results)
    return suite


def _case(result: CheckResult) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase", classname=f"selftest.{result.family}", name=_plain(result.sentence), time=f"{result.seconds:.3f}"
    )
    text = _plain("\n".join(line.strip() for line in list(result_lines(result))[1:]))
    match result.outcome:
        case Outcome.FAILED:
            ElementTree.SubElement(case, "failure", message=_plain(result.found)).text = text
        case Outcome.SKIPPED:
            ElementTree.SubElement(case, "skipped", message=_plain(result.found))
        case Outcome.WARNING:
            ElementTree.SubElement(case, "system-out").text = f"WARNING\n{text}"
        case Outcome.OK:
            pass
    return case


def _plain(text: str) -> str:
    return _NO_XML.sub("?", text)
