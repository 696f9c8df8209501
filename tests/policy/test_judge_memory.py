"""What the judge remembers is told apart by every byte it judged: two rows of members never share a memory."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.resource import Members, open_resource
from gateway.policy.judge import judge
from gateway.policy.permission import Permission
from tests.policy.grants import grant

NAMES = ("contained", "performer", "resourceType", "subject")

subjects: st.SearchStrategy[object] = st.sampled_from(
    [
        {"reference": "Patient/A"},
        {"reference": "Patient/B"},
        {"reference": "Patient/A,"},
        {"display": '","', "reference": "Patient/A"},
        "Patient/A",
        [],
        1,
        12,
        None,
    ]
)
values = st.recursive(
    subjects | st.text(st.sampled_from('a,"\\\0\n{}[]:'), max_size=5) | st.integers(0, 20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "reference"]), inner, max_size=2),
    max_leaves=4,
)
rows = st.dictionaries(st.sampled_from([*NAMES, "id", "note"]), values, max_size=6)


def _members(row: dict[str, object]) -> Members:
    return open_resource(msgspec.json.encode(row))


def _judged(row: dict[str, object], permission: Permission) -> object:
    return judge(_members(row), permission, grant("patient/*.rs"))


@given(st.lists(rows, min_size=2, max_size=8))
def test_a_judgement_does_not_hang_on_what_was_judged_before(asked: list[dict[str, object]]) -> None:
    remembering = grant("patient/*.rs").find("Observation")
    for row in asked:
        row.setdefault("resourceType", "Observation")
        fresh = grant("patient/*.rs").find("Observation")
        assert _judged(row, remembering) == _judged(row, fresh)


@given(rows, rows)
def test_two_rows_of_members_have_two_keys(one: dict[str, object], other: dict[str, object]) -> None:
    permission = grant("patient/*.rs").find("Observation")
    assert permission.deciding == NAMES
    for row in (one, other):
        _judged(row, permission)
    texts = {tuple(bytes(_members(row).get(name, b"")) for name in NAMES) for row in (one, other)}
    assert len(permission.remembered) == len(texts)


def test_values_with_commas_do_not_run_into_each_other() -> None:
    permission = grant("patient/*.rs").find("Observation")
    mine = b'{"resourceType":"Observation","performer":"a,b","subject":{"reference":"Patient/A"}}'
    shifted = b'{"resourceType":"Observation","contained":"a","performer":"b","subject":{"reference":"Patient/B"}}'
    assert judge(open_resource(mine), permission, grant("patient/*.rs")) is True
    assert judge(open_resource(shifted), permission, grant("patient/*.rs")) is False
