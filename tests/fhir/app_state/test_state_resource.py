"""What app state may look like, and what it belongs to."""

from typing import Any

import pytest

from gateway.fhir.app_state.state_codes import StateAddress, StateCodes, StateUse
from gateway.fhir.app_state.state_resource import check_new_state, read_state_address, with_version
from gateway.fhir.reference import Reference
from gateway.fhir.request_error import RequestError, RequestProblem
from tests.fhir.app_state.states import BASE, CODE, SYSTEM, app_state

CODING = {"system": SYSTEM, "code": CODE}
EXTENSION = {"url": "https://app.example/v2", "valueString": "x"}

ACCEPTED: dict[str, tuple[dict[str, Any], Reference | None]] = {
    "state about a patient": (app_state(), Reference("Patient", "A")),
    "state about a user": (app_state(f"{BASE}/Practitioner/b"), Reference("Practitioner", "b")),
    "state about a role": (app_state(f"{BASE}/PractitionerRole/b"), Reference("PractitionerRole", "b")),
    "state about a related person": (app_state(f"{BASE}/RelatedPerson/b"), Reference("RelatedPerson", "b")),
    "state about a person": (app_state(f"{BASE}/Person/b"), Reference("Person", "b")),
    "state about nobody": (app_state(None), None),
    "state without content": (app_state(None, extension=None), None),
    "several extensions": (app_state(None, extension=[EXTENSION, {**EXTENSION, "id": "two"}]), None),
    "a coding with a display": (app_state(None, code={"coding": [{**CODING, "display": "d"}], "text": "t"}), None),
    "a profile and a narrative": (app_state(None, meta={"profile": ["https://p"]}, text={"status": "empty"}), None),
}


@pytest.mark.requirement("AS-5")
@pytest.mark.parametrize(("tree", "subject"), ACCEPTED.values(), ids=ACCEPTED)
def test_state_belongs_to_its_coding_and_its_subject(tree: dict[str, Any], subject: Reference | None) -> None:
    assert read_state_address(tree, BASE) == StateAddress(SYSTEM, CODE, subject)
    check_new_state(tree)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no code": (app_state(code=None), "Basic.code.coding"),
    "a code without a coding": (app_state(code={"text": "x"}), "Basic.code.coding"),
    "two codings": (app_state(code={"coding": [CODING, CODING]}), "Basic.code.coding"),
    "a coding that is none": (app_state(code={"coding": ["x"]}), "Basic.code.coding"),
    "a coding without a system": (app_state(code={"coding": [{"code": "x"}]}), "Basic.code.coding"),
    "a coding without a code": (app_state(code={"coding": [{"system": SYSTEM}]}), "Basic.code.coding"),
    "a blank code": (app_state(code={"coding": [{"system": SYSTEM, "code": " "}]}), "Basic.code.coding"),
    "a relative subject": (app_state("Patient/A"), "Basic.subject.reference"),
    "a subject elsewhere": (app_state("https://other.example/fhir/Patient/A"), "Basic.subject.reference"),
    "a subject at the FHIR server behind": (app_state("http://upstream/fhir/Patient/A"), "Basic.subject.reference"),
    "a subject of another type": (app_state(f"{BASE}/Group/A"), "Basic.subject.reference"),
    "a version of a subject": (app_state(f"{BASE}/Patient/A/_history/1"), "Basic.subject.reference"),
    "a subject with a query": (app_state(f"{BASE}/Patient/A?x"), "Basic.subject.reference"),
    "a way out of the base": (app_state(f"{BASE}/../Patient/A"), "Basic.subject.reference"),
    "a subject by its identifier, which would look like none": (
        app_state(subject={"identifier": {"value": "7"}}), "Basic.subject.identifier",
    ),
    "a subject without a reference": (app_state(subject={"display": "A"}), "Basic.subject.reference"),
    "two subjects": (app_state(subject=[{"reference": f"{BASE}/Patient/A"}]), "Basic.subject"),
    "an extension of another type": (
        app_state(extension=[{"url": "u", "valueCode": "x"}]), "Basic.extension.valueCode",
    ),
    "an extension in an extension": (
        app_state(extension=[{"url": "u", "valueString": "x", "extension": []}]), "Basic.extension.extension",
    ),
    "an extension without a value": (app_state(extension=[{"url": "u"}]), "Basic.extension"),
    "an extension without a url": (app_state(extension=[{"valueString": "u"}]), "Basic.extension"),
    "extensions that are no list": (app_state(extension={"url": "u"}), "Basic.extension"),
    "a modifier extension": (app_state(modifierExtension=[EXTENSION]), "Basic.modifierExtension"),
    "a resource within": (app_state(contained=[{"resourceType": "Patient"}]), "Basic.contained"),
    "an author, who may be anybody": (app_state(author={"reference": "Patient/B"}), "Basic.author"),
    "rules of its own": (app_state(implicitRules="https://x"), "Basic.implicitRules"),
    "meta that is none": (app_state(meta=[]), "Basic.meta"),
    "an extension of meta": (app_state(meta={"extension": [EXTENSION]}), "Basic.meta.extension"),
}  # fmt: skip


@pytest.mark.requirement("AS-4", "AS-5", "edge-155")
@pytest.mark.parametrize(("tree", "offender"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_of_the_profile_is_refused(tree: dict[str, Any], offender: str) -> None:
    with pytest.raises(RequestError) as raised:
        read_state_address(tree, BASE)
    assert (raised.value.problem, raised.value.offender) == (RequestProblem.APP_STATE_INVALID, offender)


@pytest.mark.requirement("AS-5")
@pytest.mark.parametrize("changes", [{"id": "mine"}, {"meta": {"versionId": "1"}}], ids=["an id", "a version"])
def test_new_state_has_what_the_server_assigns_not_yet(changes: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as raised:
        check_new_state(app_state(**changes))
    assert raised.value.problem is RequestProblem.APP_STATE_INVALID


@pytest.mark.requirement("AS-6", "AS-18")
def test_what_is_stored_is_what_was_sent_with_id_and_version() -> None:
    sent = app_state(meta={"profile": ["https://p"], "versionId": "9", "lastUpdated": "1999-01-01T00:00:00Z"}, id="x")
    stored = with_version(sent, "new-id", 3, 1_700_000_000.25)
    assert stored["id"] == "new-id"
    assert stored["meta"] == {
        "profile": ["https://p"], "versionId": "3", "lastUpdated": "2023-11-14T22:13:20.250Z",
    }  # fmt: skip
    assert {name: stored[name] for name in ("code", "subject", "extension")} == {
        name: sent[name] for name in ("code", "subject", "extension")
    }


CODES: dict[str, tuple[StateCodes, StateAddress, StateUse, bool]] = {
    "a code of the system": (StateCodes("s"), StateAddress("s", "c", Reference("Patient", "A")), StateUse.MODIFY, True),
    "a code of another system": (StateCodes("s"), StateAddress("s2", "c"), StateUse.QUERY, False),
    "another code": (StateCodes("s", "c"), StateAddress("s", "d"), StateUse.QUERY, False),
    "its one code": (StateCodes("s", "c"), StateAddress("s", "c", Reference("Person", "p")), StateUse.MODIFY, True),
    "a change by who may only ask": (
        StateCodes("s", use=StateUse.QUERY), StateAddress("s", "c", Reference("Person", "p")), StateUse.MODIFY, False,
    ),
    "a question about global state": (StateCodes("s"), StateAddress("s", "c"), StateUse.QUERY, True),
    "a change of global state": (StateCodes("s"), StateAddress("s", "c"), StateUse.MODIFY, False),
    "a change of global state by an app of administrators": (
        StateCodes("s", global_use=StateUse.MODIFY), StateAddress("s", "c"), StateUse.MODIFY, True,
    ),
    "a question about global state that is closed": (
        StateCodes("s", global_use=StateUse.NONE), StateAddress("s", "c"), StateUse.QUERY, False,
    ),
}  # fmt: skip


@pytest.mark.requirement("AS-14", "AS-15")
@pytest.mark.parametrize(("codes", "address", "use", "permitted"), CODES.values(), ids=CODES)
def test_an_app_uses_the_codes_that_it_is_trusted_with(
    codes: StateCodes, address: StateAddress, use: StateUse, permitted: bool
) -> None:
    assert codes.permits(address, use) is permitted
