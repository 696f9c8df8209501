"""A body that comes in pieces is rewritten as if it had come whole, wherever it was cut."""

import asyncio
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.links import AddressRewriter

REWRITER = AddressRewriter("http://server.example/fhir", "https://gateway.example/fhir")
SOME = st.sampled_from(
    [
        b'"reference":"http://server.example/fhir/Patient/a"',
        b'"reference" : "http://server.example/fhir/Patient/b"',
        b'"url":"http://server.example/fhir/Binary/c"',
        b'"url":"http://server.example/fhir/ValueSet/d"',
        b'"reference":"http://server.example/fhirs/Patient/e"',
        b'"div":"http://server.example/fhir/Patient/f"',
        b'"reference":"http://server.exam',
        b",",
        b"x" * 150,
    ]
)


async def _cut(body: bytes, places: list[int]) -> AsyncIterator[bytes]:
    ends = sorted({min(place, len(body)) for place in places} | {len(body)})
    for start, end in zip([0, *ends], ends, strict=False):
        yield body[start:end]


async def _joined(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


@given(st.lists(SOME, max_size=12).map(b"".join), st.lists(st.integers(0, 2000), max_size=40))
def test_where_it_is_cut_does_not_matter(body: bytes, places: list[int]) -> None:
    assert asyncio.run(_joined(REWRITER.rewrite_pieces(_cut(body, places)))) == REWRITER.rewrite(body)
