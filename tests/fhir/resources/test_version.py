"""What a resource states of its version, and how it is written in HTTP."""

from typing import Any

import msgspec
import pytest

from gateway.fhir.resources.version import ResourceVersion, read_version, read_version_of_body

STATED: dict[str, tuple[bytes, ResourceVersion]] = {
    "both": (
        b'{"versionId":"1","lastUpdated":"2024-01-01T00:00:00Z"}',
        ResourceVersion("1", "2024-01-01T00:00:00Z", states_version=True),
    ),
    "with escapes": (b'{"version\\u0049d":"\\u0031"}', ResourceVersion("1", None, states_version=True)),
    "a longer meta": (b'{"source":"' + b"x" * 1000 + b'","versionId":"1"}', ResourceVersion("1", states_version=True)),
    "no version": (b'{"lastUpdated":"2024-01-01"}', ResourceVersion()),
    "a version that is null": (b'{"versionId":null}', ResourceVersion(states_version=True)),
    "two versions": (b'{"versionId":"1","versionId":"1"}', ResourceVersion(states_version=True)),
    "two versions, one of which is escaped": (
        b'{"versionId":"1","version\\u0049d":"2"}',
        ResourceVersion(states_version=True),
    ),
    "a list": (b"[]", ResourceVersion(states_version=True)),
}


@pytest.mark.parametrize(("meta", "stated"), STATED.values(), ids=STATED)
def test_a_resource_states(meta: bytes, stated: ResourceVersion) -> None:
    assert read_version({"meta": msgspec.Raw(meta)}) == stated


def test_a_resource_without_meta_states_nothing_and_may_be_any_version() -> None:
    assert read_version({}) == ResourceVersion()
    assert read_version({}).may_be("1")
    assert not ResourceVersion("2", states_version=True).may_be("1")
    assert not ResourceVersion(states_version=True).may_be("1")


OWN = b'{"resourceType":"Observation","id":"o","meta":{"versionId":"1"}}'
BODIES = {
    "the resource": (OWN, "1"),
    "another type": (OWN.replace(b"Observation", b"Condition"), None),
    "another id": (OWN.replace(b'"o"', b'"p"'), None),
    "a list": (b"[%b]" % OWN, None),
    "no JSON": (OWN[:-1], None),
    "no UTF-8": (OWN.replace(b'"1"', b'"\xff"'), None),
    "deep lists": (OWN[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize(("body", "version_id"), BODIES.values(), ids=BODIES)
def test_an_unopened_body_states_a_version_if_it_is(body: bytes, version_id: str | None) -> None:
    assert read_version_of_body(body, "Observation", "o").version_id == version_id


DATES: dict[str, Any] = {
    "2024-02-29T23:30:00Z": "Thu, 29 Feb 2024 23:30:00 GMT",
    "2024-02-29T23:30:00.999999999-02:00": "Fri, 01 Mar 2024 01:30:00 GMT",
    "0001-01-01T00:00:00+14:00": None,
    "2016-12-31T23:59:60Z": None,
    "2023-02-29T00:00:00Z": None,
}


@pytest.mark.parametrize(("instant", "http_date"), DATES.items())
def test_an_instant_is_an_http_date(instant: str, http_date: str | None) -> None:
    assert ResourceVersion("1", instant).http_date == http_date
