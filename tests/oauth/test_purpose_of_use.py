"""Which purposes of use a user may name."""

import pytest

from gateway.oauth.authorization import User
from gateway.oauth.purpose_of_use import OfferedPurpose, purposes_for

CLINICIANS = frozenset({"Practitioner", "PractitionerRole"})
PATIENT = User("pat", "Pat", "Patient/1", roles=("emergency",))
DOCTOR = User("doctor", "Dora", "Practitioner/1", roles=("emergency",))

CASES = {
    "a clinician": (OfferedPurpose("p", "P", CLINICIANS), DOCTOR, True),
    "a patient": (OfferedPurpose("p", "P", CLINICIANS), PATIENT, False),
    "a patient, where patients may": (
        OfferedPurpose("p", "P", frozenset({"Patient"})),
        User("p", "P", "Patient/1"),
        True,
    ),
    "somebody without an own resource": (OfferedPurpose("p", "P", CLINICIANS), User("clerk", "Carl"), False),
    "a clinician with the role": (OfferedPurpose("p", "P", CLINICIANS, frozenset({"emergency"})), DOCTOR, True),
    "a clinician without the role": (OfferedPurpose("p", "P", CLINICIANS, frozenset({"research"})), DOCTOR, False),
    "somebody with the role, of another type": (
        OfferedPurpose("p", "P", CLINICIANS, frozenset({"emergency"})),
        PATIENT,
        False,
    ),
}


@pytest.mark.parametrize(("purpose", "user", "may"), CASES.values(), ids=CASES)
def test_a_purpose_is_offered_to_those_who_may_name_it(purpose: OfferedPurpose, user: User, may: bool) -> None:
    assert purposes_for(user, [purpose]) == ((purpose,) if may else ())
