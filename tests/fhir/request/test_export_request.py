"""The kick-off of an export as it is read from a query or from Parameters, and what is refused of it."""

import json
from typing import Any

import pytest

from gateway.fhir.request.export_parameters import MAX_PATIENTS, ExportParameters, TypeFilter
from gateway.fhir.request.interaction import ExportCancel, ExportFile, ExportKickoff, ExportLevel, ExportStatus
from gateway.fhir.request.parse_request import RequestError, parse_request
from gateway.fhir.request_error import RequestProblem
from gateway.fhir.search.query import ChainLink, Query, SearchCriterion, SearchKey

JSON = {b"content-type": b"application/fhir+json", b"prefer": b"handling=lenient, respond-async"}


def parse_posted(path: str, parameters: Any, **changes: Any) -> ExportKickoff:
    """The kick-off that posts these parameters."""
    body = changes.pop("body", json.dumps({"resourceType": "Parameters", "parameter": parameters}).encode())
    kickoff = parse_request("POST", path.encode(), b"", JSON | changes.pop("headers", {}), body)
    assert isinstance(kickoff, ExportKickoff)
    return kickoff


def test_a_kick_off_in_a_query_and_one_in_parameters_mean_the_same() -> None:
    status = SearchCriterion(SearchKey((ChainLink("status"),)), "final,amended")
    expected = ExportParameters(
        types=("Patient", "Observation"),
        since="2026-01-01T00:00:00Z",
        type_filters=(TypeFilter("Observation", Query((status,))),),
        elements=("id", "Patient.name"),
    )
    query = (
        b"_type=Patient&_type=Observation&_since=2026-01-01T00:00:00Z&_outputFormat=ndjson"
        b"&_typeFilter=Observation%3Fstatus%3Dfinal%252Camended&_elements=id,Patient.name"
    )
    read = parse_request("GET", b"/Patient/$export", query, {b"prefer": b"respond-async"}, b"")
    assert read == ExportKickoff(ExportLevel.PATIENT, expected)
    posted = [
        {"name": "_type", "valueString": "Patient,Observation"},
        {"name": "_since", "valueInstant": "2026-01-01T00:00:00Z"},
        {"name": "_outputFormat", "valueCode": "application/fhir+ndjson"},
        {"name": "_typeFilter", "valueString": "Observation?status=final%2Camended"},
        {"name": "_elements", "valueString": "id,Patient.name"},
    ]
    assert parse_posted("/Patient/$export", posted) == read


def test_what_is_written_is_read_as_the_same() -> None:
    query = (
        b"_type=Observation&_until=2026-01-01T00:00:00Z&includeAssociatedData=RelevantProvenanceResources"
        b"&_typeFilter=Observation%3Fstatus%3Dfinal%252Camended%26code%3Dhttp://x%257C%252526,Observation%3Fcategory%3Da"
    )
    read = parse_request("GET", b"/$export", query, {}, b"")
    assert isinstance(read, ExportKickoff)
    assert len(read.parameters.type_filters) == 2
    again = parse_request("GET", b"/$export", read.parameters.encode().encode(), {}, b"")
    assert again == read


def test_links_of_the_gateway_hold_one_sealed_parameter() -> None:
    assert parse_request("GET", b"/$export-status", b"_job=abc", {}, b"") == ExportStatus("abc")
    assert parse_request("DELETE", b"/$export-status", b"_job=abc", {}, b"") == ExportCancel("abc")
    accept = {b"accept": b"application/fhir+ndjson"}
    assert parse_request("GET", b"/$export-file", b"_file=abc", accept, b"") == ExportFile("abc")
    for query in (b"", b"_job=a&_job=b", b"_job=a&_type=Patient", b"_job=a%2Fb", b"_file=a"):
        with pytest.raises(RequestError):
            parse_request("GET", b"/$export-status", query, {}, b"")


PATIENT = {"name": "patient", "valueReference": {"reference": "Patient/a"}}
REFUSED: dict[str, tuple[Any, RequestProblem]] = {
    "a parameter without a value": ([{"name": "_type"}], RequestProblem.PARAMETER_INVALID),
    "a parameter with two values": (
        [{"name": "_type", "valueString": "Patient", "valueCode": "Observation"}],
        RequestProblem.PARAMETER_INVALID,
    ),
    "a parameter with parts": ([{"name": "_type", "part": []}], RequestProblem.PARAMETER_INVALID),
    "an extension beside the value": (
        [{"name": "_type", "valueString": "Patient", "extension": []}],
        RequestProblem.PARAMETER_INVALID,
    ),
    "a parameter without a name": ([{"valueString": "x"}], RequestProblem.BODY_MALFORMED),
    "a number": ([{"name": "_type", "valueInteger": 1}], RequestProblem.PARAMETER_INVALID),
    "an empty value": ([{"name": "_type", "valueString": " "}], RequestProblem.PARAMETER_EMPTY),
    "a line end": ([{"name": "_type", "valueString": "Patient\n"}], RequestProblem.PARAMETER_INVALID),
    "no list": ("x", RequestProblem.BODY_MALFORMED),
    "another patient's URL": (
        [{"name": "patient", "valueReference": {"reference": "http://evil.example/Patient/a"}}],
        RequestProblem.PARAMETER_INVALID,
    ),
    "a Group as a patient": (
        [{"name": "patient", "valueReference": {"reference": "Group/a"}}],
        RequestProblem.PARAMETER_INVALID,
    ),
    "an unknown parameter": ([{"name": "organizeOutputBy", "valueString": "x"}], RequestProblem.PARAMETER_UNKNOWN),
    "too many": ([PATIENT] * (MAX_PATIENTS + 1), RequestProblem.REQUEST_TOO_LARGE),
    "too long": (
        [{"name": "_typeFilter", "valueString": f"Patient?name={'x' * 5000}"}],
        RequestProblem.REQUEST_TOO_LARGE,
    ),
}


@pytest.mark.parametrize(("parameters", "problem"), REFUSED.values(), ids=REFUSED)
def test_parameters_that_say_something_else_are_refused(parameters: Any, problem: RequestProblem) -> None:
    with pytest.raises(RequestError) as refused:
        parse_posted("/Patient/$export", parameters)
    assert refused.value.problem is problem


BODIES: dict[str, dict[str, Any]] = {
    "another type": {"body": b'{"resourceType":"Patient"}'},
    "a member twice": {"body": b'{"resourceType":"Parameters","parameter":[],"parameter":[]}'},
    "no JSON": {"body": b"_type=Patient"},
    "a form": {"headers": {b"content-type": b"application/x-www-form-urlencoded"}},
    "a content coding": {"headers": {b"content-encoding": b"gzip"}},
}


@pytest.mark.parametrize("changes", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_parameters_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        parse_posted("/$export", [], **changes)


def test_patients_are_named_in_a_body_and_not_of_the_system() -> None:
    assert [str(patient) for patient in parse_posted("/Group/g/$export", [PATIENT]).parameters.patients] == [
        "Patient/a"
    ]
    with pytest.raises(RequestError):
        parse_posted("/$export", [PATIENT])
    with pytest.raises(RequestError):
        parse_request("GET", b"/Patient/$export", b"patient=Patient/a", {}, b"")


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [(b"respond-async", True), (b"Respond-Async; wait=10", True), (b"handling=strict", False), (b"", False)],
)
def test_the_wish_for_a_job_is_read(prefer: bytes, expected: bool) -> None:
    kickoff = parse_request("GET", b"/$export", b"", {b"prefer": prefer}, b"")
    assert isinstance(kickoff, ExportKickoff)
    assert kickoff.is_asynchronous is expected
