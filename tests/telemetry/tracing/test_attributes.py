"""What spans say of paths, methods and answers: a bounded number of words, none of which a client chooses."""

from typing import Any

import pytest

from gateway.fhir.request import interaction as fhir
from gateway.policy.reasons import Reason
from gateway.telemetry.tracing.attributes import FhirPaths, describe_request, describe_response
from gateway.upstream.exchange_types import UpstreamTimeout
from tests.telemetry.request_records import request_record
from tests.telemetry.tracing.recorded_requests import SERVER_NAMES

PATHS = FhirPaths({"everything"})


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("", ""),
        ("/Patient", "/Patient"),
        ("/Patient/123", "/Patient/{id}"),
        ("/Patient/123/_history/4", "/Patient/{id}/_history/{id}"),
        ("/Patient/_search", "/Patient/_search"),
        ("/Patient/123/*", "/Patient/{id}/*"),
        ("/Patient/123/$everything", "/Patient/{id}/$everything"),
        ("/Patient/123/$jane-doe", "/Patient/{id}/{operation}"),
        ("/JaneDoe/metadata", "/{id}/metadata"),
        ("/patient", "/{id}"),
        ("/%50atient/x", "/{id}/{id}"),
    ],
)
def test_a_template_keeps_the_words_of_fhir_alone(path: str, template: str) -> None:
    assert PATHS.template(path) == template


@pytest.mark.parametrize(
    ("target", "name", "attributes"),
    [
        pytest.param(
            b"/r4/Observation?subject=Patient/1",
            "GET /r4/Observation",
            {"url.template": "/r4/Observation"},
            id="search",
        ),
        pytest.param(b"/exports/file-of-1", "GET", {}, id="a path that is not below the base"),
        pytest.param(b"/r4x/Patient", "GET", {}, id="a path that only begins like the base"),
    ],
)
def test_a_question_is_named_by_its_template(target: bytes, name: str, attributes: dict[str, Any]) -> None:
    described = SERVER_NAMES.describe(b"GET", target, 200, None)
    common = {"http.request.method": "GET", "server.address": "fhir.example", "server.port": 443}
    assert described == (name, {**common, **attributes, "http.response.status_code": 200}, "")


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        pytest.param(200, None, "", id="an answer"),
        pytest.param(404, None, "404", id="an answer that is no success"),
        pytest.param(0, UpstreamTimeout(), "UpstreamTimeout", id="no answer"),
        pytest.param(200, UpstreamTimeout(), "UpstreamTimeout", id="an answer that broke off"),
        pytest.param(0, None, "cancelled", id="a question that was given up"),
    ],
)
def test_a_question_that_failed_says_why(status: int, error: Exception | None, expected: str) -> None:
    _, attributes, told = SERVER_NAMES.describe(b"GET", b"/r4/Patient/1", status, error)
    assert told == expected
    assert attributes.get("error.type", "") == expected
    assert attributes.get("http.response.status_code", 0) == status


def test_a_method_that_a_client_made_up_is_not_told() -> None:
    record = request_record(method="SECRET", interaction=None, status=405)
    name, attributes, error = describe_request(record, None)
    assert (name, attributes["http.request.method"], error) == ("HTTP", "_OTHER", "")
    name, attributes, _ = describe_response("SECRET", None, 404)
    assert (name, attributes["http.request.method"]) == ("HTTP", "_OTHER")


def test_a_resource_type_that_r4_does_not_define_is_not_told() -> None:
    record = request_record(interaction=fhir.Read("JaneDoe", "1"))
    assert "fhir.resource_type" not in describe_request(record, "/x")[1]


def test_a_failure_of_ours_is_an_error_with_its_reason() -> None:
    record = request_record(status=500, reason=Reason.INTERNAL_ERROR)
    assert describe_request(record, None)[2] == "internal_error"
    assert describe_response("GET", "/auth/token", 503)[2] == "503"
    assert describe_response("GET", "/auth/token", 0)[2] == "no_response"
    assert describe_response("GET", "/auth/token", 429)[2] == ""
