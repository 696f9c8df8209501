"""Bodies that are their own encoding are read at once, all others exactly, and nobody can tell which."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.request.content import MAX_DEPTH, decode_body, encode_resource, encode_tree
from gateway.fhir.request_error import RequestError, RequestProblem

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('abé"\\', max_size=3), inner, max_size=3),
)


@given(trees)
def test_the_style_of_a_body_does_not_matter(tree: Any) -> None:
    plain = json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode()
    for body in (plain, json.dumps(tree).encode(), json.dumps(tree, indent=2).encode()):
        # An int in place of a float and the reverse would be another text.
        assert json.loads(encode_tree(decode_body(body))) == tree


@given(st.dictionaries(st.text("ab", max_size=2), trees, max_size=3))
def test_what_is_judged_is_what_is_sent(tree: dict[str, Any]) -> None:
    for body in (json.dumps(tree).encode(), json.dumps(tree, separators=(",", ":")).encode()):
        resource = encode_resource(decode_body(body))
        assert orjson.loads(resource.text) == resource.judged


NUMBERS = [
    "1.50",
    "1.5",
    "185.0",
    "0.10",
    "-0",
    "-0.0",
    "1e5",
    "1E+5",
    "123456789012345678901234567890",
    "1.0e-10",
    "7",
]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("template", ['{"value":%s}', '{"value": %s}'])
def test_a_decimal_keeps_its_digits(number: str, template: str) -> None:
    sent = encode_tree(decode_body((template % number).encode())).decode()
    digits = sent.removeprefix('{"value":').removesuffix("}")
    before, after = (text.lower().replace("+", "") for text in (number, digits))
    assert after == before or (float(after) == float(before) and "." not in before)


REFUSED = {
    "a member twice": (b'{"a":1,"a":1}', RequestProblem.BODY_MEMBER_REPEATED),
    "a member twice in another style": (b'{"a": 1, "\\u0061": 1}', RequestProblem.BODY_MEMBER_REPEATED),
    "half a pair of surrogates": (b'{"a":"\\ud800"}', RequestProblem.BODY_MALFORMED),
    "no UTF-8": (b'{"a":"\xff"}', RequestProblem.BODY_MALFORMED),
    "not a number": (b'{"a":NaN}', RequestProblem.BODY_MALFORMED),
    "two values": (b'{"a":1}{"a":1}', RequestProblem.BODY_MALFORMED),
    "nothing": (b" ", RequestProblem.BODY_MISSING),
    "deeper than orjson reads": (b"[" * 2000 + b"]" * 2000, RequestProblem.BODY_TOO_DEEP),
    "deeper than orjson writes": (b"[" * 300 + b"]" * 300, RequestProblem.BODY_TOO_DEEP),
}


@pytest.mark.parametrize(("body", "problem"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_for(body: bytes, problem: RequestProblem) -> None:
    with pytest.raises(RequestError) as raised:
        decode_body(body)
    assert raised.value.problem is problem


@pytest.mark.parametrize("inside", ["", "1", '"[[["'])
@pytest.mark.parametrize("style", ["%s", " %s"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":[', "]}")])
def test_the_depth_is_counted_in_every_style(opening: str, closing: str, style: str, inside: str) -> None:
    steps = MAX_DEPTH // (len(opening) // 4 + 1)
    accepted = opening * steps + inside + closing * steps
    assert decode_body((style % accepted).encode()) == json.loads(accepted)
    with pytest.raises(RequestError) as raised:
        decode_body((style % f"[{accepted}]").encode())
    assert raised.value.problem is RequestProblem.BODY_TOO_DEEP
