"""Which URLs in a body are rewritten, and that a body in chunks is rewritten like a whole one."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.resources.links import UrlRewriter

REWRITER = UrlRewriter("http://server.example/fhir", "https://gateway.example/fhir")
BODY_PARTS = st.sampled_from(
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


async def split_at(body: bytes, positions: list[int]) -> AsyncIterator[bytes]:
    ends = sorted({min(position, len(body)) for position in positions} | {len(body)})
    for start, end in zip([0, *ends], ends, strict=False):
        yield body[start:end]


async def join(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


@given(st.lists(BODY_PARTS, max_size=12).map(b"".join), st.lists(st.integers(0, 2000), max_size=40))
def test_where_it_is_cut_does_not_matter(body: bytes, positions: list[int]) -> None:
    assert asyncio.run(join(REWRITER.rewrite_stream(split_at(body, positions)))) == REWRITER.rewrite(body)


BASES = {
    "different hosts": ("http://server.example/fhir", "https://gateway.example/fhir"),
    "the public base within the server's": ("http://h/fhir", "http://h"),
    "the server's base within the public one": ("http://h", "http://h/fhir"),
    "the server's base at the end of the public one": ("h/fhir", "http://h/fhir"),
    "letters of a pattern": ("http://h.x/f+(r)", "http://h/$1\\1"),
}
name_parts = st.sampled_from(
    [b'"reference"', b'"url"', b"reference", b'\\"url"', b'"preference"', b'"url":"reference"']
)
white_space = st.sampled_from([b"", b"", b" ", b"\r\n\t", b" " * 100, b"\v", b"\xa0"])
ends = st.sampled_from([b"/Patient/a", b"/Binary/b", b"/Binary", b"s/Patient/a", b'"', b"/", b"/fhir/Binary/x", b""])


@st.composite
def members(draw: st.DrawFn, base: bytes) -> bytes:
    """A member that may have to be rewritten, or nearly."""
    colon = draw(st.sampled_from([b":", b":", b"", b","]))
    quote = draw(st.sampled_from([b'"', b'"', b"", b"'", b'\\"']))
    url = draw(st.sampled_from([base, base, base + b"/" + base, base[:-1]]))
    return b"".join([draw(name_parts), draw(white_space), colon, draw(white_space), quote, url, draw(ends)])


@pytest.mark.parametrize(("server", "public"), BASES.values(), ids=BASES)
@given(st.data())
def test_the_urls_of_references_and_of_binaries_are_rewritten_and_no_other(
    server: str, public: str, data: st.DataObject
) -> None:
    base = server.encode()
    body = b"".join(data.draw(st.lists(members(base) | st.sampled_from([b",", b'"', base, base + b"/"]), max_size=6)))
    binary = rb'"url"\s*:\s*"(?=%s/Binary/)' % re.escape(base)
    pattern = rb'("reference"\s*:\s*"|%s)%s(?=/)' % (binary, re.escape(base))
    expected = re.sub(pattern, lambda match: match[1] + public.encode(), body)
    assert UrlRewriter(server, public).rewrite(body) == expected


def test_the_urls_below_several_bases_are_rewritten_but_not_those_that_are_public_already() -> None:
    rewriter = UrlRewriter("http://h", "https://public/x/fhir", ("http://h/fhir", "https://public", "https://old"))
    texts = [
        "http://h/Patient/a",
        "http://h/fhir/Patient/a",
        "https://old/Patient/a",
        "https://public/x/fhir/Patient/a",
    ]
    bodies = [f'{{"reference":"{text}"}}'.encode() for text in texts]
    expected = b'{"reference":"https://public/x/fhir/Patient/a"}'
    assert [rewriter.rewrite(body) for body in bodies] == [expected] * 4
    assert [asyncio.run(join(rewriter.rewrite_stream(split_at(body, [5, 20])))) for body in bodies] == [expected] * 4
