"""The lines of an export's file, however they are cut into blocks: what is kept is what a plain reading would keep."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.judgement.judge_export_lines import LineJudge
from gateway.policy.permission.export_permission import export_permission
from tests.policy.grants import make_grant

SCOPES = {
    "the whole type": "system/Observation.rs",
    "a category": "system/Observation.rs?category=laboratory",
    "a code, whose name occurs elsewhere": "system/Observation.rs?code=24323-8",
    "one of two": "system/Observation.rs?status=final system/Observation.rs?category=laboratory",
}
MEMBERS: dict[str, list[Any]] = {
    "resourceType": ["Observation"] * 6 + ["Patient", "Secret", 1],
    "id": ["a", "b"],
    "status": ["final", "preliminary", None],
    "category": [[{"coding": [{"code": "laboratory"}]}], [{"coding": [{"code": "vital-signs"}]}], None],
    "code": [{"coding": [{"code": "24323-8"}]}, {"coding": [{"code": "x"}], "text": "ü \\ \n"}, None],
    "note": [[{"text": "category"}], [{"text": '"status":"final"'}], None, None],
    "contained": [[{"resourceType": "Device", "id": "d"}], None, None, None],
}


def observations() -> st.SearchStrategy[dict[str, Any]]:
    def without_none(members: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in members.items() if value is not None}

    return st.fixed_dictionaries({name: st.sampled_from(values) for name, values in MEMBERS.items()}).map(without_none)


def styles() -> st.SearchStrategy[Any]:
    return st.sampled_from(
        [
            lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(),
            lambda value: json.dumps(value, separators=(",", ":")).encode(),
            lambda value: json.dumps(value).encode(),
            lambda value: json.dumps(value, separators=(",", ":")).encode().replace(b"status", b"st\\u0061tus"),
            lambda value: json.dumps(value, separators=(",", ":")).encode() + b"\r",
        ]
    )


def is_permitted(resource: dict[str, Any], name: str) -> bool:
    """Whether a scope of `SCOPES` permits it, written down once more as plainly as possible."""
    if resource["resourceType"] != "Observation":
        return False
    text = json.dumps(resource.get("category"))
    is_laboratory, is_final = "laboratory" in text, resource.get("status") == "final"
    return {
        "the whole type": True,
        "a category": is_laboratory,
        "a code, whose name occurs elsewhere": "24323-8" in json.dumps(resource.get("code")),
        "one of two": is_final or is_laboratory,
    }[name]


@pytest.mark.parametrize("name", SCOPES)
@settings(max_examples=150, deadline=None)
@given(resources=st.lists(st.tuples(observations(), styles()), max_size=12), cut=st.integers(1, 12))
def test_what_is_kept_is_what_a_plain_reading_keeps(name: str, resources: list[tuple[Any, Any]], cut: int) -> None:
    grant = make_grant(SCOPES[name])
    judge = LineJudge(export_permission(grant, "Observation"), grant)
    lines = [style(resource) + b"\n" for resource, style in resources]
    kept = b"".join(judge.judge(b"".join(lines[start : start + cut])) for start in range(0, len(lines), cut))
    expected = [resource for resource, _ in resources if is_permitted(resource, name)]
    assert [json.loads(line) for line in kept.splitlines()] == expected
    assert (judge.kept, sum(judge.dropped.values())) == (len(expected), len(resources) - len(expected))


def test_bundles_are_kept_only_with_permitted_content() -> None:
    grant = make_grant("system/Bundle.rs system/Observation.rs?status=final")
    judge = LineJudge(export_permission(grant, "Bundle"), grant)
    shown, hidden = ({"resourceType": "Observation", "id": "o", "status": status} for status in ("final", "x"))
    lines = [
        json.dumps({"resourceType": "Bundle", "type": "document", "entry": [{"resource": resource}]}).encode() + b"\n"
        for resource in (shown, hidden)
    ]
    assert b'"final"' in judge.judge(b"".join(lines))
    assert (judge.kept, judge.dropped) == (1, {"unreadable": 1})
