"""The cache of judgements: two resources share an entry only if all deciding elements have the same bytes."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.resources.resource import Members, open_resource
from gateway.policy.judgement.judge_resource import judge_resource
from gateway.policy.permission.permission import Permission
from tests.policy.grants import make_grant

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
    return judge_resource(_members(row), permission, make_grant("patient/*.rs"))


@given(st.lists(rows, min_size=2, max_size=8))
def test_a_judgement_does_not_hang_on_what_was_judged_before(asked: list[dict[str, object]]) -> None:
    remembering = make_grant("patient/*.rs").search_permission("Observation")
    for row in asked:
        row.setdefault("resourceType", "Observation")
        fresh = make_grant("patient/*.rs").search_permission("Observation")
        assert _judged(row, remembering) == _judged(row, fresh)


@given(rows, rows)
def test_two_rows_of_members_have_two_keys(one: dict[str, object], other: dict[str, object]) -> None:
    permission = make_grant("patient/*.rs").search_permission("Observation")
    assert permission.deciding_elements == NAMES
    for row in (one, other):
        _judged(row, permission)
    texts = {tuple(bytes(_members(row).get(name, b"")) for name in NAMES) for row in (one, other)}
    assert len(permission.judgement_cache) == len(texts)


def test_values_with_commas_do_not_run_into_each_other() -> None:
    permission = make_grant("patient/*.rs").search_permission("Observation")
    mine = b'{"resourceType":"Observation","performer":"a,b","subject":{"reference":"Patient/A"}}'
    shifted = b'{"resourceType":"Observation","contained":"a","performer":"b","subject":{"reference":"Patient/B"}}'
    assert judge_resource(open_resource(mine), permission, make_grant("patient/*.rs")) is True
    assert judge_resource(open_resource(shifted), permission, make_grant("patient/*.rs")) is False
