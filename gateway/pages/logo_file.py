"""The organisation's logo: a PNG or SVG file that is checked once and then served by us."""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from xml.parsers import expat

MAX_LOGO_BYTES = 200 * 1024
MAX_LOGO_PIXELS = 4_000_000

_PNG = b"\x89PNG\r\n\x1a\n"
_SVG = "http://www.w3.org/2000/svg"
# What runs, or what loads something from elsewhere, within an SVG picture.
_FORBIDDEN_ELEMENTS = frozenset({"script", "foreignobject", "iframe", "embed", "object", "audio", "video", "handler"})
_ANIMATIONS = frozenset({"animate", "set", "animatemotion", "animatetransform"})
_LINK = re.compile(r"#[^\s]*|data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
_OUTSIDE_STYLE = re.compile(r"@import|\\|url\(\s*['\"]?(?!#)", re.IGNORECASE)


class BadLogoError(ValueError):
    """The file is no picture that can be shown; the message says why."""


@dataclass(frozen=True, slots=True)
class LogoFile:
    """A checked picture."""

    content: bytes
    media_type: str

    @property
    def name(self) -> str:
        """The file's name in URLs. It changes with the content, so browsers may keep it for ever."""
        return f"logo-{sha256(self.content).hexdigest()[:20]}.{'png' if self.media_type == 'image/png' else 'svg'}"


def check_logo(content: bytes) -> LogoFile:
    """The logo, if it is a PNG or SVG that loads and runs nothing. Raises `BadLogoError`."""
    if len(content) > MAX_LOGO_BYTES:
        raise BadLogoError(f"it has {len(content)} bytes, and {MAX_LOGO_BYTES} are allowed")
    if content.startswith(_PNG):
        _check_png(content)
        return LogoFile(content, "image/png")
    _SvgChecker().check(content)
    return LogoFile(content, "image/svg+xml")


def _check_png(content: bytes) -> None:
    """The size in its first chunk (PNG 11.2.2): a small file can be a huge picture."""
    if content[12:16] != b"IHDR" or len(content) < 33:
        raise BadLogoError("it starts like a PNG file, but is none")
    width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    if not 0 < width * height <= MAX_LOGO_PIXELS:
        raise BadLogoError(f"it has {width} x {height} pixels, and {MAX_LOGO_PIXELS} in all are allowed")


class _SvgChecker:
    """Reads an SVG file once. It has no document type, so that there are no entities either."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._start
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.ProcessingInstructionHandler = self._refuse_instruction
        self._has_root = False
        self._style: list[str] = []

    def check(self, content: bytes) -> None:
        """Raises `BadLogoError`."""
        try:
            self._parser.Parse(content, True)
        except expat.ExpatError:
            raise BadLogoError("it is neither a PNG file nor well-formed SVG") from None
        if _OUTSIDE_STYLE.search("".join(self._style)):
            raise BadLogoError("its styles load something")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if not self._has_root and (namespace, local) != (_SVG, "svg"):
            raise BadLogoError("it is neither a PNG file nor an SVG file")
        self._has_root = True
        if local.lower() in _FORBIDDEN_ELEMENTS or namespace == "http://www.w3.org/1999/xhtml":
            raise BadLogoError(f"it has the element {local}")
        for attribute, value in attributes.items():
            self._check_attribute(local.lower(), attribute.rpartition(" ")[2].lower(), value)

    def _check_attribute(self, element: str, attribute: str, value: str) -> None:
        if attribute.startswith("on"):
            raise BadLogoError(f"it has the attribute {attribute}")
        if attribute in {"href", "src"} and not _LINK.fullmatch(value.strip()):
            raise BadLogoError("it links to something outside of it")
        if element in _ANIMATIONS and attribute == "attributename" and value.strip().lower().endswith("href"):
            raise BadLogoError("it changes a link")
        if _OUTSIDE_STYLE.search(value) and attribute != "href":
            raise BadLogoError("its styles load something")

    def _text(self, text: str) -> None:
        self._style.append(text)

    def _refuse_doctype(self, *_: Any) -> None:
        raise BadLogoError("it has a document type declaration")

    def _refuse_instruction(self, *_: Any) -> None:
        raise BadLogoError("it has a processing instruction")
