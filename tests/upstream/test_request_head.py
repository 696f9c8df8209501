"""Request heads: what is written is exactly one unambiguous request, or `ValueError` is raised."""

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.exchange_types import Request
from gateway.upstream.request_head import RESERVED_HEADERS, RequestHeadWriter
from gateway.upstream.server_address import ServerAddress

HEADS = RequestHeadWriter(b"fhir.example", ((b"authorization", b"Bearer x"),))

REFUSED = [
    pytest.param(Request(b"GET POST", b"/"), id="a space in the method"),
    pytest.param(Request(b"get", b"/"), id="a method in lower case"),
    pytest.param(Request(b"", b"/"), id="no method"),
    pytest.param(Request(b"CONNECT", b"/"), id="CONNECT"),
    pytest.param(Request(b"GET\r\nx: y", b"/"), id="a line end in the method"),
    pytest.param(Request(b"GET", b""), id="no target"),
    pytest.param(Request(b"GET", b"*"), id="the asterisk form"),
    pytest.param(Request(b"GET", b"http://other/"), id="the absolute form"),
    pytest.param(Request(b"GET", b"/a b"), id="a space in the target"),
    pytest.param(Request(b"GET", b"/a\r\nx: y"), id="a line end in the target"),
    pytest.param(Request(b"GET", b"/a\n"), id="a line feed at the end of the target"),
    pytest.param(Request(b"GET", b"/\xc3\xb6"), id="a target outside ASCII"),
    pytest.param(Request(b"GET", b"/a#b"), id="a fragment"),
    pytest.param(Request(b"GET", b"/a\0"), id="a NUL in the target"),
    pytest.param(Request(b"GET", b"/", ((b"X-A", b"b"),)), id="a name in upper case"),
    pytest.param(Request(b"GET", b"/", ((b"", b"b"),)), id="no name"),
    pytest.param(Request(b"GET", b"/", ((b"x a", b"b"),)), id="a space in a name"),
    pytest.param(Request(b"GET", b"/", ((b"x:", b"b"),)), id="a colon in a name"),
    pytest.param(Request(b"GET", b"/", ((b"x", b"a\r\ny: b"),)), id="a line end in a value"),
    pytest.param(Request(b"GET", b"/", ((b"x: a\r\ny", b"b"),)), id="a line end in a name"),
    pytest.param(Request(b"GET", b"/", ((b"x", b"a\r\n b"),)), id="a folded value"),
    pytest.param(Request(b"GET", b"/", ((b"x", b"a\n"),)), id="a line feed in a value"),
    pytest.param(Request(b"GET", b"/", ((b"x", b"a\r"),)), id="a carriage return in a value"),
    pytest.param(Request(b"GET", b"/", ((b"x", b"a\0b"),)), id="a NUL in a value"),
    pytest.param(Request(b"GET", b"/", ((b"authorization", b"Bearer client"),)), id="a header that is ours"),
    *(
        pytest.param(Request(b"GET", b"/", ((name, b"x"),)), id=f"{name.decode()} from a caller")
        for name in sorted(RESERVED_HEADERS)
    ),
]


@pytest.mark.parametrize("request_", REFUSED)
def test_a_request_that_could_be_read_as_another_is_refused(request_: Request) -> None:
    with pytest.raises(ValueError, match=r"cannot be sent|can be sent upstream|origin form"):
        HEADS.write(request_)


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH"])
def test_a_method_with_content_says_its_length_even_when_there_is_none(method: bytes) -> None:
    assert HEADS.write(Request(method, b"/")).endswith(b"\r\ncontent-length: 0\r\n\r\n")
    assert b"content-length" not in HEADS.write(Request(b"GET", b"/"))


class _ParsedRequest:
    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.bodies = b""
        self.messages = 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.bodies += body

    def on_message_complete(self) -> None:
        self.messages += 1


octets = st.binary(max_size=12) | st.text(st.sampled_from('ab-_~ \t\r\n\0:,;"\x7fé'), max_size=12).map(str.encode)


@given(
    method=st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE"]) | octets,
    target=octets.map(lambda rest: b"/" + rest),
    headers=st.lists(st.tuples(st.sampled_from([b"accept", b"prefer", b"x-a"]) | octets, octets), max_size=4),
    body=st.binary(max_size=40),
)
def test_whatever_is_written_reads_as_the_one_request_that_was_meant(
    method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    try:
        head = HEADS.write(Request(method, target, tuple(headers), body))
    except ValueError:
        return
    read = _ParsedRequest()
    parser = httptools.HttpRequestParser(read)
    try:
        parser.feed_data(head + body)
    except httptools.HttpParserInvalidMethodError:
        return  # a token, but no method that llhttp knows
    assert read.messages == 1
    assert (parser.get_method(), read.url, read.bodies) == (method, target, body)
    expected = [(b"host", b"fhir.example"), (b"authorization", b"Bearer x"), *headers]
    if body or method in (b"POST", b"PUT", b"PATCH"):
        expected.append((b"content-length", b"%d" % len(body)))
    assert [(name, value.strip(b" \t")) for name, value in read.fields] == [
        (name, value.strip(b" \t")) for name, value in expected
    ]


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        ("http://fhir.example", ServerAddress(False, "fhir.example", 80, b"fhir.example", b"")),
        ("http://fhir.example/", ServerAddress(False, "fhir.example", 80, b"fhir.example", b"")),
        ("https://fhir.example/r4/", ServerAddress(True, "fhir.example", 443, b"fhir.example", b"/r4")),
        ("https://fhir.example:443/r4", ServerAddress(True, "fhir.example", 443, b"fhir.example", b"/r4")),
        ("http://FHIR.example:8080/a/b", ServerAddress(False, "fhir.example", 8080, b"fhir.example:8080", b"/a/b")),
        ("http://[::1]:8080/fhir", ServerAddress(False, "::1", 8080, b"[::1]:8080", b"/fhir")),
    ],
)
def test_a_base_url_is_read(base_url: str, address: ServerAddress) -> None:
    assert ServerAddress.parse(base_url) == address


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "fhir.example",
        "ftp://fhir.example",
        "http://",
        "http:///fhir",
        "http://user:secret@fhir.example",
        "http://fhir.example?x",
        "http://fhir.example/?",
        "http://fhir.example/#a",
        "http://fhir.example:99999",
        "http://fhir.example:port",
        "http://fhir.example/a b",
        "http://fhir.example/\r\nx: y",
        "http://fhir.exämple",
        "http://fhir.example//fhir",
        "http://[::1",
    ],
)
def test_what_is_no_base_url_is_refused(base_url: str) -> None:
    with pytest.raises(ValueError, match=r"upstream address|IPv6"):
        ServerAddress.parse(base_url)
