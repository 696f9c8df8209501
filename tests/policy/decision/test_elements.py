"""`_elements`: the request includes what the judge looks at, and is for the whole resource if absence could matter."""

import pytest

from tests.policy.grants import make_grant, upstream_url

WIDENED = "/Observation?patient=Patient/A&_elements=code,id,performer,subject,contained"
INCLUDED = "GET /Observation?_include=Observation:subject&_elements=code"

SENT = {
    "membership fails where it is absent": ("GET /Observation?_elements=code", "patient/*.rs", WIDENED),
    "a read by membership": (
        "GET /Observation/1?_elements=code",
        "patient/*.rs",
        "/Observation/1?_elements=code,id,performer,subject,contained",
    ),
    "a constraint may hold where it is absent": (
        "GET /Patient/1?_elements=name",
        "system/Patient.rs?deceased=false",
        "/Patient/1",
    ),
    "the same of a version": (
        "GET /Patient/1/_history/2?_elements=name",
        "system/Patient.rs?deceased=false",
        "/Patient/1/_history/2",
    ),
    "the same of a search": (
        "GET /Patient?_elements=name",
        "system/Patient.rs?deceased=false",
        "/Patient?deceased=false",
    ),
    "any constraint, beside another unit": (
        "GET /Observation?_elements=code",
        "patient/Observation.rs system/Observation.rs?status=final",
        "/Observation",
    ),
    "no constraint beside one that permits all": (
        "GET /Observation/1?_elements=code",
        "system/Observation.rs system/Observation.rs?status=final",
        "/Observation/1?_elements=code,id,status",
    ),
    "a constraint on a type that may be included": (
        INCLUDED,
        "patient/Observation.rs system/Patient.r?deceased=false",
        "/Observation?patient=Patient/A&_include=Observation:subject",
    ),
    "a constraint on a type that is not": (
        "GET /Observation?_elements=code",
        "patient/Observation.rs system/Patient.r?deceased=false",
        WIDENED,
    ),
    "what is included has to be referred to": (
        INCLUDED,
        "patient/*.rs",
        "/Observation?patient=Patient/A&_include=Observation:subject",
    ),
}


@pytest.mark.parametrize(("request_", "scopes", "expected"), SENT.values(), ids=SENT)
def test_what_is_asked_for_where(request_: str, scopes: str, expected: str) -> None:
    assert upstream_url(request_, make_grant(scopes)) == expected
