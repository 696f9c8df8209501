"""To what records may refer that some units permit: found once for the same units, and never mixed up."""

import pytest

from gateway.fhir.reference import Reference
from gateway.policy.permission.permission import Permission
from gateway.policy.permission.reference_reach import ReferenceReach
from gateway.scopes.model import Letter
from tests.policy.grants import make_grant

GRANT = make_grant("patient/Observation.u system/Observation.c")
OF_PATIENT = GRANT.permission_for("Observation", Letter.UPDATE)
OF_ALL = GRANT.permission_for("Observation", Letter.CREATE)
OF_BOTH = GRANT.permission_for("Observation", Letter.UPDATE, Letter.CREATE)


def reach_of(permission: Permission) -> ReferenceReach:
    """The reach of all units of a permission."""
    return permission.reference_reach(permission.units, GRANT.rules)


# The type of what is referred to, and whether such a reference has to lead inside.
TYPES = {
    "the owner": ("Patient", True),
    "a record of a patient": ("Encounter", True),
    "content, which becomes visible": ("Binary", True),
    "a record of nobody": ("Organization", False),
    "no type at all": ("Nonsense", False),
}


@pytest.mark.parametrize(("resource_type", "is_checked"), TYPES.values(), ids=TYPES)
def test_a_reference_counts_by_the_type_that_it_leads_to(resource_type: str, is_checked: bool) -> None:
    for _ in range(2):
        assert reach_of(OF_PATIENT).is_checked(resource_type) is is_checked


def test_only_the_owner_of_every_compartment_is_accepted_unseen() -> None:
    reach = reach_of(OF_PATIENT)
    assert reach.accepts_unseen(Reference("Patient", "A"))
    assert not reach.accepts_unseen(Reference("Patient", "B"))
    assert not reach.accepts_unseen(Reference("Encounter", "A"))
    assert not reach_of(OF_ALL).accepts_unseen(Reference("Patient", "A"))


def test_the_reach_is_kept_by_the_units_alone() -> None:
    of_patient = tuple(unit for unit in OF_BOTH.units if unit in OF_PATIENT.units)
    narrow, wide = OF_BOTH.reference_reach(of_patient, GRANT.rules), reach_of(OF_BOTH)
    assert OF_BOTH.reference_reach(tuple(of_patient), GRANT.rules) is narrow
    assert (narrow.is_free, wide.is_free) == (False, True)
