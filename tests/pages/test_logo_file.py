"""The organisation's logo: pictures are accepted, and what runs, loads or overwhelms is refused."""

import struct
import zlib

import pytest

from gateway.pages.logo_file import MAX_LOGO_BYTES, BadLogoError, check_logo

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">{}</svg>'


def png(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def test_a_png_and_a_harmless_svg_are_accepted_under_a_name_of_their_content() -> None:
    assert check_logo(png(300, 100)).media_type == "image/png"
    drawing = SVG.format(
        '<style>.a { fill: url(#shade) }</style><linearGradient id="shade"/><path class="a" style="fill:red"/>'
        '<use xlink:href="#shade"/><image href="data:image/png;base64,AA=="/><animate attributeName="fill"/>'
    )
    logo, other = check_logo(drawing.encode()), check_logo(SVG.format("").encode())
    assert logo.media_type == other.media_type == "image/svg+xml"
    assert logo.name.endswith(".svg")
    assert logo.name != other.name


REFUSED = {
    "a script": SVG.format("<script>alert(1)</script>"),
    "a script of another case": SVG.format("<SCRIPT>alert(1)</SCRIPT>"),
    "a handler": SVG.format('<path onload="alert(1)"/>'),
    "a handler at the root": '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "HTML": SVG.format('<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject>'),
    "an element of HTML alone": SVG.format('<p xmlns="http://www.w3.org/1999/xhtml"/>'),
    "a link that runs": SVG.format('<a href="javascript:alert(1)"/>'),
    "a link that runs, in the older way": SVG.format('<a xlink:href=" javascript:alert(1)"/>'),
    "a picture from elsewhere": SVG.format('<image href="https://spy.example/x.png"/>'),
    "an SVG within it": SVG.format('<image href="data:image/svg+xml;base64,AA=="/>'),
    "a part of another file": SVG.format('<use href="other.svg#x"/>'),
    "a style that loads": SVG.format("<style>@import 'https://spy.example/x.css';</style>"),
    "a style that loads a picture": SVG.format('<path style="fill: url( https://spy.example/x )"/>'),
    "a style that loads by an escape": SVG.format(r'<path style="fill: u\72l(//spy.example)"/>'),
    "a filter from elsewhere": SVG.format('<path filter="url(//spy.example/#f)"/>'),
    "a link that is changed": SVG.format('<a><set attributeName="href" to="javascript:alert(1)"/></a>'),
    "an entity": '<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + SVG.format("&a;"),
    "a stylesheet of its own": '<?xml-stylesheet href="https://spy.example/x.css"?>' + SVG.format(""),
    "another document": "<html/>",
    "an svg of no namespace": "<svg/>",
    "broken XML": SVG.format("<path>"),
    "no text at all": "",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_an_svg_that_does_more_than_show_is_refused(text: str) -> None:
    with pytest.raises(BadLogoError):
        check_logo(text.encode())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(40), "is none", id="a PNG without a header"),
        pytest.param(png(60_000, 60_000), "60000 x 60000 pixels", id="a PNG that is huge when it is unpacked"),
        pytest.param(png(0, 10), "0 x 10 pixels", id="a PNG without pixels"),
        pytest.param(bytes(MAX_LOGO_BYTES + 1), f"{MAX_LOGO_BYTES} are allowed", id="too many bytes"),
        pytest.param(b"\xff\xd8\xff\xe0 JFIF", "neither a PNG file nor", id="a JPEG"),
    ],
)
def test_a_file_that_is_no_picture_or_too_large_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(BadLogoError, match=reason):
        check_logo(content)
