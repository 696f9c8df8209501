"""The SBOM names what is locked and nothing else, and a licence that is not allowed is found."""

import copy
from importlib.metadata import distribution
from typing import Any

import pytest
from license_expression import get_spdx_licensing

from scripts.bill_of_materials import build_bill, check_bill, licence_report, licence_texts, locked_versions
from scripts.licences import is_allowed, licence_of, read_rules


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    return build_bill()


def test_it_names_exactly_the_locked_packages_and_each_licence_is_allowed(bill: dict[str, Any]) -> None:
    assert list(check_bill(bill)) == []
    assert len(bill["components"]) == len(locked_versions()) >= 40


def test_it_says_of_what_it_is_and_what_needs_what(bill: dict[str, Any]) -> None:
    root = bill["metadata"]["component"]
    assert (root["name"], root["version"]) == ("smart-fhir-gateway", "0.1.0")
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
    assert f"starlette=={locked_versions()['starlette']}" in needs[root["bom-ref"]]
    assert all(component["purl"].startswith("pkg:pypi/") for component in bill["components"])


def test_what_is_missing_or_not_locked_is_named(bill: dict[str, Any]) -> None:
    changed = copy.deepcopy(bill)
    changed["components"] = [one for one in changed["components"] if one["name"] != "lark"]
    changed["components"].append({"name": "pytest", "version": "9.2.0", "licenses": [{"license": {"id": "MIT"}}]})
    lark = locked_versions()["lark"]
    assert list(check_bill(changed)) == [
        f"lark: {lark} is locked, the SBOM has nothing",
        "pytest: nothing is locked, the SBOM has 9.2.0",
    ]


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        pytest.param([{"license": {"id": "MIT"}}], None, id="a licence of the list is allowed"),
        pytest.param([{"expression": "GPL-3.0-only OR MIT"}], None, id="one of several that can be chosen is enough"),
        pytest.param([{"expression": "GPL-3.0-only AND MIT"}], "not allowed", id="of several at once all must be"),
        pytest.param([{"license": {"id": "AGPL-3.0-only"}}], "not allowed", id="another licence is not"),
        pytest.param(
            [{"license": {"id": "MIT"}}, {"license": {"id": "GPL-2.0-only"}}],
            "not allowed",
            id="two statements count as both at once",
        ),
        pytest.param([{"license": {"name": "Proprietary"}}], "no SPDX expression", id="words of its own must be read"),
        pytest.param([], "declares no licence", id="a package that says nothing must be read"),
    ],
)
def test_licences(declared: list[dict[str, Any]], problem: str | None) -> None:
    component = {"name": "example", "version": "1", "licenses": declared}
    found = licence_of(component, read_rules()).problems
    assert (found == ()) if problem is None else (len(found) == 1 and problem in found[0])


def test_a_clarified_package_that_declares_something_else_must_be_read_again() -> None:
    component = {"name": "Jinja2", "version": "4", "licenses": [{"license": {"name": "Another Licence"}}]}
    assert "no SPDX expression" in licence_of(component, read_rules()).problems[0]


def test_an_exception_is_a_licence_of_its_own() -> None:
    parsed = get_spdx_licensing().parse("GPL-2.0-only WITH Classpath-exception-2.0")
    assert not is_allowed(parsed, frozenset({"GPL-2.0-only"}))


def test_the_report_has_a_row_and_the_licence_text_of_each_package(bill: dict[str, Any]) -> None:
    report = licence_report(bill)
    assert "| orjson |" in report
    assert "| MPL-2.0 AND (Apache-2.0 OR MIT) |" in report
    missing = [one["name"] for one in bill["components"] if f"## {one['name']}: " not in report]
    assert missing == []


def test_a_package_of_two_licences_has_both_texts() -> None:
    assert [name for name, _ in licence_texts(distribution("uvloop"))] == ["LICENSE-APACHE", "LICENSE-MIT"]
