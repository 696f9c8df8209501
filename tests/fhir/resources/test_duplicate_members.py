"""An object with duplicate members is refused, however it is written. All other objects keep their bytes."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.resources.bundle import read_bundle, write_bundle
from gateway.fhir.resources.resource import MalformedResourceError, decode_member, open_resource, read_resource

TWICE = {
    "plainly": b'{"subject":1,"id":"x","subject":2}',
    "with an escape in the name": b'{"subject":1,"\\u0073ubject":2}',
    "with white space between": b'{ "subject" : 1 ,\n "subject" : 2 }',
    "with white space and an escape": b'{ "subject" : 1 ,\n "sub\\u006aect" : 2 }',
    "the same value": b'{"subject":1,"subject":1}',
}


@pytest.mark.parametrize("text", TWICE.values(), ids=TWICE)
def test_a_member_that_stands_twice_refuses_the_resource(text: bytes) -> None:
    with pytest.raises(MalformedResourceError):
        open_resource(text)


@pytest.mark.parametrize("text", TWICE.values(), ids=TWICE)
def test_a_member_that_stands_twice_refuses_a_value_that_is_looked_at(text: bytes) -> None:
    with pytest.raises(MalformedResourceError):
        decode_member(msgspec.Raw(text))


@pytest.mark.parametrize("text", TWICE.values(), ids=TWICE)
@pytest.mark.parametrize(
    "envelope", [b"", b',"timestamp":"2026-01-01T00:00:00Z"', b',"unusual":[1, 2]', b', "total": 7']
)
def test_a_member_that_stands_twice_refuses_that_entry_and_no_other(text: bytes, envelope: bytes) -> None:
    good = b'{"resourceType":"Basic","id":"a"}'
    body = b'{"resourceType":"Bundle","type":"searchset"%b,"entry":[{"resource":%b},{"resource":%b}]}' % (
        envelope,
        text,
        good,
    )
    first, second = read_bundle(body).entry
    assert first.resource == {}
    assert second.resource
    assert second.resource == open_resource(good)


names = st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(names, values, max_size=6)
styles = st.sampled_from([{"separators": (",", ":")}, {"indent": 2}, {"ensure_ascii": False}])


@given(objects, styles)
def test_what_has_each_member_once_is_opened_with_the_bytes_of_its_values(
    value: dict[str, Any], style: dict[str, Any]
) -> None:
    text = json.dumps(value, **style).encode("utf-8", "surrogatepass")
    try:
        text.decode()
    except UnicodeDecodeError:
        return
    members, written = read_resource(text)
    assert all(bytes(raw) in text for raw in members.values())
    assert json.loads(written) == value


@given(objects.filter(bool), values, styles, st.data())
def test_what_has_a_member_twice_is_never_opened(
    value: dict[str, Any], other: Any, style: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(value)))
    duplicate = f",{json.dumps(name)}:{json.dumps(other)}}}"
    body = (json.dumps(value, **style)[:-1] + duplicate).encode("utf-8", "surrogatepass")
    with pytest.raises(MalformedResourceError):
        open_resource(body)


def test_a_bundle_is_written_from_its_entries_alone() -> None:
    body = b'{"resourceType":"Bundle","id":"x","meta":{"a":1},"type":"searchset","total":1,"link":[],"entry":['
    body += b'{"fullUrl":"u",'
    body += (
        b'"resource":{"resourceType":"Basic","id":"a","extension":[{"valueDecimal":1.10}]},"search":{"mode":"match"}}]}'
    )
    written = write_bundle("searchset", links=[("self", "s")], entries=read_bundle(body).entry)
    assert b'"valueDecimal":1.10' in written
    assert set(json.loads(written)) == {"resourceType", "type", "link", "entry"}
