"""The text of a Binary without its content is the resource with an empty `data`, however it comes in pieces."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.resources.binary_text import BinaryText
from gateway.fhir.resources.resource import MalformedResourceError

TEXTS = st.text(st.sampled_from('data":{}[],\\ \n/é😀'), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.just("data"), inner, max_size=3),
    max_leaves=8,
)
RESOURCES = st.dictionaries(TEXTS | st.just("data"), VALUES, max_size=5)


def split(text: bytes, size: int, limit: int = 1 << 20) -> tuple[bytes, bytes]:
    """The rest and the content."""
    reader = BinaryText(limit)
    content = b"".join(reader.feed(text[start : start + size]) for start in range(0, len(text), size))
    return bytes(reader.rest), content


@given(RESOURCES, st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_only_the_value_of_data_is_left_out(resource: Any, size: int, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(resource, indent=indent, ensure_ascii=ascii_only).encode()
    rest, content = split(text, size)
    has_content = isinstance(resource.get("data"), str)
    assert json.loads(rest) == ({**resource, "data": ""} if has_content else resource)
    assert json.loads(b'"%b"' % content) == (resource["data"] if has_content else "")


TEXTS_BY_NAME: dict[str, tuple[bytes, bytes]] = {
    "content that is escaped": (rb'{"data":"QU\/J\nD","id":"1"}', rb'{"data":"","id":"1"}'),
    "a value that is called data": (b'{"id":"data","data":"QUJD"}', b'{"id":"data","data":""}'),
    "data of an inner object": (b'{"meta":{"data":"QUJD"}}', b'{"meta":{"data":"QUJD"}}'),
    "data in a list": (b'["data","QUJD"]', b'["data","QUJD"]'),
    "data that is no text": (b'{"data":null,"id":"QUJD"}', b'{"data":null,"id":"QUJD"}'),
    "data twice": (b'{"data":"QUJD","data":"QUJD"}', b'{"data":"","data":""}'),
    "a name with an escape": (rb'{"d\u0061ta":"QUJD"}', rb'{"d\u0061ta":"QUJD"}'),
    "a text that does not end": (b'{"data":"QUJD', b'{"data":"'),
}


@pytest.mark.parametrize(("text", "expected"), TEXTS_BY_NAME.values(), ids=TEXTS_BY_NAME)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_of(text: bytes, expected: bytes, size: int) -> None:
    assert split(text, size)[0] == expected


def test_the_rest_has_a_bound() -> None:
    assert split(b'{"data":"%b"}' % (b"Q" * 10_000), 100, limit=20)[0] == b'{"data":""}'
    with pytest.raises(MalformedResourceError):
        split(b'{"id":"%b"}' % (b"Q" * 10_000), 100, limit=20)
