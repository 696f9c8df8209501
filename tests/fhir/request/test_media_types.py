"""The gateway responds in FHIR JSON and refuses requests for other formats (edge case 120)."""

import pytest

from gateway.fhir.request.interaction import Read, VRead
from gateway.fhir.request.media_types import accepts
from gateway.fhir.request_error import RequestProblem
from tests.fhir.request.fhir_requests import FhirRequest, get, post

ACCEPTED = [
    "application/fhir+json",
    "application/json",
    "text/json",
    "json",
    "*/*",
    "application/*",
    "Application/FHIR+JSON",
    "application/fhir+json; fhirVersion=4.0",
    'application/fhir+json;fhirversion="4.0"',
    "application/fhir+json;charset=utf-8",
    "application/fhir+xml, application/fhir+json;q=0.1",
    "text/html,application/xhtml+xml,*/*;q=0.8",
    "application/json;q=1.000",
    "text/html;q=0, */*",
    "application/fhir+json;q=0, application/json",
    "application/fhir+json;fhirVersion=3.0, application/fhir+json;fhirVersion=4.0",
    "",
    " ",
]
NOT_ACCEPTED = [
    "application/fhir+xml",
    "text/html",
    "text/turtle",
    "application/xml, text/*",
    "application/fhir+json;q=0",
    "application/fhir+json;q=0.000, text/html",
    "application/fhir+json;q=0, */*",
    "application/json;q=0, application/*",
    "application/*;q=0, */*",
    "*/*;q=0",
    "application/fhir+json;q=2",
    "application/fhir+json;q=high",
    "application/fhir+json;fhirVersion=5.0",
    "application/fhir+json;fhirVersion=3.0, text/html",
    "application/fhir+ndjson",
    "*",
    "nonsense",
    ",",
    "text/html;x=\"a,application/json\"",
]  # fmt: skip
JSON_FORMATS = [
    "json",
    "JSON",
    "application/json",
    "application/fhir%2Bjson",
    "application/fhir+json",
    "application/fhir%2Bjson;%20fhirVersion=4.0",
    "text/json",
]
OTHER_FORMATS = ["xml", "html", "html/json", "ttl", "application/fhir%2Bxml", "application/fhir%2Bndjson", "json,xml",
                 "application/fhir%2Bjson;fhirVersion=5.0", "json;q=0", "*/*"]  # fmt: skip


@pytest.mark.parametrize("accept", ACCEPTED)
def test_this_accept_admits_fhir_json(accept: str) -> None:
    assert get("/Patient/A", accept=accept).parse() == Read("Patient", "A")


@pytest.mark.parametrize("accept", NOT_ACCEPTED)
@pytest.mark.parametrize("target", ["/Patient/A", "/Patient?name=x", "/metadata", "/?_page=x", "/Binary"])
def test_this_accept_does_not(accept: str, target: str) -> None:
    error = get(target, accept=accept).parse_error()
    assert (error.problem, error.offender) == (RequestProblem.FORMAT_NOT_ACCEPTABLE, "Accept")


def test_an_accept_too_long_to_be_remembered_is_judged_all_the_same() -> None:
    long = ", ".join(["text/html"] * 100)
    assert get("/Patient/A", accept=long).parse_error().problem is RequestProblem.FORMAT_NOT_ACCEPTABLE
    assert get("/Patient/A", accept=long + ", */*").parse() == Read("Patient", "A")


@pytest.mark.parametrize("value", JSON_FORMATS)
def test_a_format_of_json_wins_over_accept(value: str) -> None:
    assert get(f"/Patient/A?_format={value}", accept="text/html").parse() == Read("Patient", "A")


@pytest.mark.parametrize("value", OTHER_FORMATS)
@pytest.mark.parametrize("target", ["/Patient/A", "/Binary/1", "/Patient/A/_history", "/metadata"])
def test_another_format_is_refused_whatever_accept_says(value: str, target: str) -> None:
    error = get(f"{target}?_format={value}", accept="application/fhir+json").parse_error()
    assert (error.problem, error.offender) == (RequestProblem.FORMAT_NOT_ACCEPTABLE, "_format")


def test_the_format_of_a_search_form_counts() -> None:
    assert post("/Patient/_search", "_format=xml").parse_error().problem is RequestProblem.FORMAT_NOT_ACCEPTABLE


@pytest.mark.parametrize("target", ["/Binary/1", "/Binary/1/_history/1"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_binary_may_be_asked_for_as_anything(method: str, target: str) -> None:
    assert isinstance(FhirRequest(method, target, {"accept": "application/pdf"}).parse(), Read | VRead)


MEDIA_TYPES = {
    "the type itself": (b"text/html, application/pdf", True),
    "any type": (b"*/*;q=0.1", True),
    "its whole family": (b"application/*", True),
    "nothing in particular": (b"", True),
    "another type": (b"text/plain", False),
    "another family": (b"image/*", False),
    "anything but it": (b"*/*, application/pdf;q=0", False),
    "anything but its family": (b"*/*, application/*;q=0.0", False),
    "it, but not its family": (b"application/*;q=0, application/PDF", True),
    "a quality that is none": (b"application/pdf;q=x", False),
}


@pytest.mark.parametrize(("accept", "is_accepted"), MEDIA_TYPES.values(), ids=MEDIA_TYPES)
def test_a_pdf_is_accepted_by_a_client_that_accepts(accept: bytes, is_accepted: bool) -> None:
    for media_type in (b"application/pdf", b"Application/PDF; charset=utf-8"):
        assert accepts(accept, media_type) is is_accepted
