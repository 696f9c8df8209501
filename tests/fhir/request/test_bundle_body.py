"""The Bundle of a batch or transaction: what its entries ask for, and what is no Bundle of requests."""

import json
from decimal import Decimal
from typing import Any

import pytest

from gateway.fhir.request.bundle_body import parse_bundle
from gateway.fhir.request.bundle_entry import EntryTarget, may_be_entry, read_entry_body, read_target
from gateway.fhir.request.interaction import BatchOrTransaction, BundleKind, BundleRequest
from gateway.fhir.request_error import RequestError, RequestProblem

HEADERS = {b"content-type": b"application/fhir+json"}
BASE = "https://gateway.example/fhir"


def parse(bundle: Any) -> BatchOrTransaction:
    return parse_bundle(json.dumps(bundle).encode(), HEADERS)


def make_bundle(*entries: Any, kind: str = "batch") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def test_an_entry_has_method_url_conditions_and_resource() -> None:
    request = {
        "method": "PUT",
        "url": "Observation/1",
        "ifMatch": 'W/"3"',
        "ifNoneMatch": "*",
        "ifNoneExist": "identifier=x",
        "ifModifiedSince": "2024-02-29T23:30:00.25+01:00",
    }
    parsed = parse(make_bundle({"fullUrl": "urn:uuid:1", "request": request, "resource": {"value": 1.50}}))
    headers = {
        b"if-match": b'W/"3"',
        b"if-none-match": b"*",
        b"if-none-exist": b"identifier=x",
        b"if-modified-since": b"Thu, 29 Feb 2024 22:30:00 GMT",
    }
    entry = BundleRequest("PUT", "Observation/1", headers, {"value": Decimal("1.5")}, "urn:uuid:1")
    assert parsed == BatchOrTransaction(BundleKind.BATCH, (entry,))


GET = {"method": "GET", "url": "Patient/1"}
MALFORMED: dict[str, tuple[Any, str]] = {
    "another resource": ({"resourceType": "Patient"}, "Bundle"),
    "no object": ([], "Bundle"),
    "no type (B7)": ({"resourceType": "Bundle"}, "Bundle.type"),
    "another type": (make_bundle(kind="collection"), "Bundle.type"),
    "a type that is no text": ({"resourceType": "Bundle", "type": ["batch"]}, "Bundle.type"),
    "entries that are no list": ({"resourceType": "Bundle", "type": "batch", "entry": {}}, "Bundle.entry"),
    "an entry that is no object": (make_bundle("x"), "Bundle.entry[0].request"),
    "an entry without a request": (make_bundle({"request": GET}, {"resource": {}}), "Bundle.entry[1].request"),
    "a request without a method": (make_bundle({"request": {"url": "x"}}), "Bundle.entry[0].request.method"),
    "a request without a URL": (make_bundle({"request": {"method": "GET"}}), "Bundle.entry[0].request.url"),
    "a resource that is none": (make_bundle({"request": GET, "resource": "x"}), "Bundle.entry[0].resource"),
    "a full URL that is none": (make_bundle({"request": GET, "fullUrl": 1}), "Bundle.entry[0].fullUrl"),
    "a condition that is no text": (
        make_bundle({"request": {**GET, "ifMatch": 1}}),
        "Bundle.entry[0].request.ifMatch",
    ),
    "a moment without a zone": (
        make_bundle({"request": {**GET, "ifModifiedSince": "2024-02-29T22:30:00"}}),
        "Bundle.entry[0].request.ifModifiedSince",
    ),
    "a moment that is none": (
        make_bundle({"request": {**GET, "ifModifiedSince": "yesterday"}}),
        "Bundle.entry[0].request.ifModifiedSince",
    ),
}


@pytest.mark.parametrize(("bundle", "offender"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_bundle_of_requests_is_refused(bundle: Any, offender: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(bundle)
    assert (caught.value.problem, caught.value.offender) == (RequestProblem.BUNDLE_MALFORMED, offender)
    assert offender.startswith(caught.value.location)


def test_a_member_twice_has_two_meanings() -> None:
    with pytest.raises(RequestError) as caught:
        parse_bundle(b'{"resourceType":"Bundle","type":"batch","type":"transaction"}', HEADERS)
    assert caught.value.problem is RequestProblem.BODY_MEMBER_REPEATED


@pytest.mark.parametrize("headers", [{}, {b"content-type": b"text/plain"}, {**HEADERS, b"content-encoding": b"gzip"}])
def test_another_media_type_is_refused(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(RequestError) as caught:
        parse_bundle(b'{"resourceType":"Bundle","type":"batch"}', headers)
    assert caught.value.problem is RequestProblem.MEDIA_TYPE_UNSUPPORTED


TARGETS = {
    "Patient/1": EntryTarget(b"/Patient/1", b""),
    "/Patient/1": EntryTarget(b"/Patient/1", b""),
    "Patient?name=a%20b": EntryTarget(b"/Patient", b"name=a%20b"),
    f"{BASE}/Patient/1": EntryTarget(b"/Patient/1", b""),
    f"{BASE}?_type=Patient": EntryTarget(b"", b"_type=Patient"),
    "?_type=Patient": EntryTarget(b"", b"_type=Patient"),
    "": EntryTarget(b"", b""),
    "Patient?url=http://x/y": EntryTarget(b"/Patient", b"url=http://x/y"),
    f"{BASE}2/Patient/1": None,
    "http://fhir-server.internal/fhir/Patient/1": None,
    "Patient/1#x": None,
}


@pytest.mark.parametrize(("url", "target"), TARGETS.items(), ids=TARGETS)
def test_a_url_is_relative_or_below_the_own_base(url: str, target: EntryTarget | None) -> None:
    entry = BundleRequest("GET", url, {})
    if target is not None:
        assert read_target(entry, BASE) == target
        return
    with pytest.raises(RequestError) as caught:
        read_target(entry, BASE)
    assert caught.value.problem is RequestProblem.PATH_MALFORMED


def test_neither_bundles_nor_exports_are_entries() -> None:
    assert may_be_entry("GET", EntryTarget(b"", b""))
    assert not may_be_entry("POST", EntryTarget(b"", b""))
    assert not may_be_entry("GET", EntryTarget(b"/Patient/$export", b""))


def test_a_patch_stands_in_a_binary() -> None:
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="}
    assert read_entry_body(BundleRequest("PATCH", "Patient/1", {}, binary)) == (b"application/json-patch+json", b"[]")
    assert read_entry_body(BundleRequest("POST", "Binary", {}, binary))[0] == b"application/fhir+json"
    with pytest.raises(RequestError) as caught:
        read_entry_body(BundleRequest("PATCH", "Patient/1", {}, {**binary, "data": "-"}))
    assert caught.value.problem is RequestProblem.BODY_MALFORMED
