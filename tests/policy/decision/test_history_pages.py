"""Requests for a history have pages so short that the current version of every resource can be looked up."""

import pytest

from tests.policy.grants import make_grant, upstream_url

SENT = {
    "as many as the gateway looks up": ("GET /Observation/_history", "patient/*.rs", "/Observation/_history?_count=50"),
    "as few as the client wants": (
        "GET /Observation/_history?_count=10",
        "patient/*.rs",
        "/Observation/_history?_count=10",
    ),
    "no more than that": (
        "GET /_history?_type=Observation&_count=1000",
        "patient/*.rs",
        "/_history?_type=Observation&_count=50",
    ),
    "as the server likes where nothing is looked up": (
        "GET /Observation/_history",
        "system/Observation.rs",
        "/Observation/_history",
    ),
    "as many as the client wants where nothing is looked up": (
        "GET /_history?_count=1000",
        "system/*.rs",
        "/_history?_count=1000",
    ),
    "as the server likes of one resource": (
        "GET /Observation/1/_history",
        "patient/*.rs",
        "/Observation/1/_history",
    ),
}


@pytest.mark.parametrize(("request_", "scopes", "expected"), SENT.values(), ids=SENT)
def test_versions_are_asked_for(request_: str, scopes: str, expected: str) -> None:
    assert upstream_url(request_, make_grant(scopes)) == expected
