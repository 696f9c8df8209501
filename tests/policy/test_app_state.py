"""May a token use a piece of app state? The app's codes, the subject and one scope must agree."""

import pytest

from gateway.fhir.app_state.state_codes import StateAddress, StateCodes, StateUse
from gateway.fhir.reference import parse_reference
from gateway.policy.app_state import permits_state, refuse_address, refuse_without_scope
from gateway.policy.permission.security_labels import SecurityLabelRule
from gateway.policy.reasons import Reason
from gateway.scopes.model import Letter
from tests.fhir.app_state.states import CODE, SYSTEM, app_state
from tests.policy.grants import PUBLIC, make_grant

OWN = StateCodes(SYSTEM)
ADMIN = StateCodes(SYSTEM, global_use=StateUse.MODIFY)
READER = StateCodes(SYSTEM, use=StateUse.QUERY)
PATIENT, OTHER, DOCTOR = "Patient/A", "Patient/B", "Practitioner/b"

# The scopes of a token of patient A and the doctor b, the app's codes, the subject, the letter, and the outcome.
CASES: dict[str, tuple[str, StateCodes, str | None, Letter, bool]] = {
    "the patient in context, patient/": ("patient/Basic.cuds", OWN, PATIENT, Letter.CREATE, True),
    "another patient, patient/": ("patient/Basic.cuds", OWN, OTHER, Letter.SEARCH, False),
    "the user, patient/": ("patient/Basic.cuds", OWN, DOCTOR, Letter.SEARCH, False),
    "nobody, patient/": ("patient/Basic.cuds", OWN, None, Letter.SEARCH, False),
    "the user, user/": ("user/Basic.cuds", OWN, DOCTOR, Letter.UPDATE, True),
    "another user, user/": ("user/Basic.cuds", OWN, "Practitioner/c", Letter.UPDATE, False),
    "a patient whom the user may see, user/": ("user/Basic.cuds", OWN, PATIENT, Letter.SEARCH, False),
    "nobody, user/, asked for": ("user/Basic.cuds", OWN, None, Letter.SEARCH, True),
    "nobody, user/, changed": ("user/Basic.cuds", OWN, None, Letter.UPDATE, False),
    "nobody, user/, changed by an app of administrators": ("user/Basic.cuds", ADMIN, None, Letter.UPDATE, True),
    "nobody, system/": ("system/Basic.s", OWN, None, Letter.SEARCH, True),
    "a patient, system/": ("system/Basic.cuds", OWN, PATIENT, Letter.SEARCH, False),
    "both contexts, each for its own": ("patient/Basic.s user/Basic.cuds", OWN, PATIENT, Letter.UPDATE, False),
    "a wildcard": ("patient/*.cuds", OWN, PATIENT, Letter.DELETE, True),
    "another letter": ("patient/Basic.s", OWN, PATIENT, Letter.UPDATE, False),
    "another type": ("patient/Observation.cuds", OWN, PATIENT, Letter.SEARCH, False),
    "the code of the scope": (f"patient/Basic.s?code={SYSTEM}|{CODE}", OWN, PATIENT, Letter.SEARCH, True),
    "another code than the scope's": (f"patient/Basic.s?code={SYSTEM}|other", OWN, PATIENT, Letter.SEARCH, False),
    "codes of another app": ("patient/Basic.cuds", StateCodes("https://other.example"), PATIENT, Letter.SEARCH, False),
    "an app that may only ask, asking": ("patient/Basic.cuds", READER, PATIENT, Letter.SEARCH, True),
    "an app that may only ask, changing": ("patient/Basic.cuds", READER, PATIENT, Letter.UPDATE, False),
    "a constraint that cannot be judged": ("patient/Basic.s?code:not=x|y", OWN, PATIENT, Letter.SEARCH, False),
}


@pytest.mark.requirement("AS-13", "AS-14", "AS-15", "AS-16", "AS-17")
@pytest.mark.parametrize(("scope", "codes", "subject", "letter", "permitted"), CASES.values(), ids=CASES)
def test_state_is_used_by_a_scope_that_is_about_its_subject(
    scope: str, codes: StateCodes, subject: str | None, letter: Letter, permitted: bool
) -> None:
    grant = make_grant(scope, user=DOCTOR)
    address = StateAddress(SYSTEM, CODE, None if subject is None else parse_reference(subject))
    resource = app_state(None if subject is None else f"{PUBLIC}/{subject}")
    is_permitted = (
        refuse_without_scope(grant, letter) is None
        and refuse_address(grant, [codes], address, letter) is None
        and permits_state(grant, address, letter, resource)
    )
    assert is_permitted is permitted


def test_a_missing_scope_is_named() -> None:
    denied = refuse_without_scope(make_grant("patient/Observation.rs"), Letter.CREATE)
    assert denied is not None
    assert (denied.reason, denied.required_scope) == (Reason.SCOPE_INSUFFICIENT, "patient/Basic.c")


def test_record_rules_hold_for_app_state_too() -> None:
    rule = SecurityLabelRule(frozenset({"R"}))
    grant = make_grant("patient/Basic.cuds", record_rules=(rule,))
    address = StateAddress(SYSTEM, CODE, parse_reference(PATIENT))
    labelled = app_state(f"{PUBLIC}/{PATIENT}", meta={"security": [{"code": "R"}]})
    assert not permits_state(grant, address, Letter.SEARCH, labelled)
    assert permits_state(grant, address, Letter.SEARCH, app_state(f"{PUBLIC}/{PATIENT}"))
