"""Which state a search asks for."""

import pytest

from gateway.fhir.app_state.state_codes import StateAddress
from gateway.fhir.app_state.state_search import read_state_search
from gateway.fhir.reference import Reference
from gateway.fhir.request.interaction import TypeSearch
from gateway.fhir.request.parse_request import parse_request
from gateway.fhir.request_error import RequestError, RequestProblem
from tests.fhir.app_state.states import BASE

PATIENT = Reference("Patient", "A")
UNDERSTOOD = {
    "code and subject": (f"code=s|c&subject={BASE}/Patient/A", StateAddress("s", "c", PATIENT)),
    "a relative subject, as in the guide's examples": ("code=s|c&subject=Patient/A", StateAddress("s", "c", PATIENT)),
    "no subject": ("code=s|c&subject:missing=true", StateAddress("s", "c")),
    "escapes": (r"code=s\,1|c\|2&subject:missing=true", StateAddress("s,1", "c|2")),
}


def read(query: str) -> StateAddress:
    interaction = parse_request("GET", b"/Basic", query.encode(), {}, b"")
    assert isinstance(interaction, TypeSearch)
    return read_state_search(interaction, BASE)


@pytest.mark.requirement("AS-2", "AS-12")
@pytest.mark.parametrize(("query", "address"), UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_a_search_names_one_code_and_one_subject_or_none(query: str, address: StateAddress) -> None:
    assert read(query) == address


REFUSED = {
    "no code": ("subject=Patient/A", RequestProblem.PARAMETER_MISSING),
    "no word about the subject": ("code=s|c", RequestProblem.PARAMETER_MISSING),
    "any subject": ("code=s|c&subject:missing=false", RequestProblem.PARAMETER_MISSING),
    "nothing": ("", RequestProblem.PARAMETER_MISSING),
    "a code without a system": ("code=c&subject=Patient/A", RequestProblem.PARAMETER_INVALID),
    "all codes of a system": ("code=s|&subject=Patient/A", RequestProblem.PARAMETER_INVALID),
    "a code of any system": ("code=|c&subject=Patient/A", RequestProblem.PARAMETER_INVALID),
    "two codes": ("code=s|c,s|d&subject=Patient/A", RequestProblem.PARAMETER_INVALID),
    "two subjects": ("code=s|c&subject=Patient/A,Patient/B", RequestProblem.PARAMETER_INVALID),
    "a subject elsewhere": ("code=s|c&subject=https://o.example/Patient/A", RequestProblem.PARAMETER_INVALID),
    "an id alone": ("code=s|c&subject=A", RequestProblem.PARAMETER_INVALID),
    "code twice": ("code=s|c&code=s|c&subject=Patient/A", RequestProblem.PARAMETER_REPEATED),
    "a subject and none": ("code=s|c&subject=Patient/A&subject:missing=true", RequestProblem.PARAMETER_REPEATED),
    "another parameter": ("code=s|c&subject=Patient/A&_count=1", RequestProblem.PARAMETER_UNKNOWN),
    "an include": ("code=s|c&subject=Patient/A&_include=Basic:subject", RequestProblem.PARAMETER_UNKNOWN),
    "codes but one": ("code:not=s|c&subject=Patient/A", RequestProblem.PARAMETER_UNKNOWN),
    "a stray backslash": (r"code=s|\c&subject=Patient/A", RequestProblem.PARAMETER_INVALID),
}


@pytest.mark.requirement("AS-12")
@pytest.mark.parametrize(("query", "problem"), REFUSED.values(), ids=REFUSED)
def test_another_search_is_refused(query: str, problem: RequestProblem) -> None:
    with pytest.raises(RequestError) as raised:
        read(query)
    assert raised.value.problem is problem
