"""The units that permit a change are remembered by what they depend on, so that nothing else is mistaken for it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.permission.rules import MembershipMode
from gateway.policy.writing.permitting_units import changing_units, is_readable
from gateway.policy.writing.written_state import may_change
from gateway.scopes.model import Letter
from tests.policy.grants import make_grant
from tests.policy.strategies import resources

SCOPES = (
    "patient/*.cruds",
    "patient/Observation.cruds?category=http://c|lab",
    "patient/Observation.u patient/Observation.rs?code=http://c|vital",
    "system/*.cruds",
    "system/Observation.u?status=final",
)
_extras = st.fixed_dictionaries(
    {},
    optional={
        "contained": st.just([{"resourceType": "Patient", "id": "b"}]),
        "focus": st.just([{"reference": "Patient/b"}]),
        "subject": st.sampled_from([None, {"reference": "Patient/b"}, {"reference": "Patient/a"}]),
        "note": st.just([{"text": "x"}]),
    },
)


@given(
    st.sampled_from(SCOPES),
    st.sampled_from(MembershipMode),
    st.lists(st.tuples(resources(1), _extras), min_size=1, max_size=8),
)
def test_what_is_remembered_is_what_would_be_found(
    scope: str, mode: MembershipMode, records: list[tuple[dict[str, Any], Any]]
) -> None:
    grant = make_grant(scope, patient="a", membership=mode)
    for record, extras in records * 2:
        resource = {**record, **extras}
        permission = grant.permission_for(resource["resourceType"], Letter.UPDATE)
        plain = tuple(unit for unit in permission.units if may_change(unit, resource))
        assert changing_units(permission, resource) == plain
        readable = grant.read_or_search_permission(resource["resourceType"])
        assert is_readable(readable, resource) == readable.permits(resource)


def test_few_are_remembered_and_nothing_that_is_long() -> None:
    permission = make_grant("patient/*.cruds", patient="a").permission_for("Observation", Letter.UPDATE)
    for number in range(200):
        changing_units(permission, {"resourceType": "Observation", "subject": {"reference": f"Patient/{number}"}})
    assert 0 < len(permission.unit_cache) <= 64
    permission.unit_cache.clear()
    changing_units(permission, {"resourceType": "Observation", "performer": [{"display": "x" * 2000}]})
    assert not permission.unit_cache


def test_whom_only_another_parameter_names_is_not_overlooked() -> None:
    grant = make_grant("patient/*.cruds", patient="a", membership=MembershipMode.SUBJECT)
    permission = grant.permission_for("Observation", Letter.UPDATE)
    own = {"resourceType": "Observation", "subject": {"reference": "Patient/a"}}
    assert changing_units(permission, own) == permission.units
    assert changing_units(permission, {**own, "performer": [{"reference": "Patient/b"}]}) == ()
