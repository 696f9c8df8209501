"""A small strict HTML parser, which rejects what a browser would silently repair."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "input", "img", "link", "br", "hr"})


class MalformedPageError(AssertionError):
    """Tags that do not match, an attribute twice, or an unquoted one."""


@dataclass(slots=True)
class Element:
    tag: str
    attributes: dict[str, str | None]
    ancestors: tuple["Element", ...]
    text: str = ""

    def get(self, name: str) -> str:
        return self.attributes.get(name) or ""

    def ancestor(self, tag: str) -> "Element | None":
        return next((ancestor for ancestor in reversed(self.ancestors) if ancestor.tag == tag), None)


@dataclass(slots=True)
class Document:
    elements: list[Element] = field(default_factory=list)

    def all(self, *tags: str) -> list[Element]:
        return [element for element in self.elements if element.tag in tags]

    def one(self, tag: str) -> Element:
        (element,) = self.all(tag)
        return element

    def by_id(self, identifier: str) -> Element:
        (element,) = [element for element in self.elements if element.get("id") == identifier]
        return element

    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(element.tag, tuple(element.attributes)) for element in self.elements]

    def fields(self) -> list[tuple[str, str, str]]:
        """Name, type and value of each form field."""
        return [
            (element.get("name"), element.get("type") or element.tag, element.get("value"))
            for element in self.all("input", "button")
            if element.get("name")
        ]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.document = Document()
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if len({name for name, _ in attrs}) != len(attrs):
            raise MalformedPageError(f"<{tag}> has an attribute twice")
        element = Element(tag, dict(attrs), tuple(self._open))
        self.document.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1].tag != tag:
            raise MalformedPageError(f"</{tag}> closes {self._open[-1].tag if self._open else 'nothing'}")
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data
        if not self._open and data.strip():
            raise MalformedPageError(f"text outside the page: {data!r}")

    def handle_comment(self, data: str) -> None:
        raise MalformedPageError(f"a comment: {data!r}")

    def finish(self) -> Document:
        self.close()
        if self._open:
            raise MalformedPageError(f"<{self._open[-1].tag}> is never closed")
        return self.document


def parse_page(page: bytes) -> Document:
    """The elements of a page in order; raises `MalformedPageError`."""
    text = page.decode("utf-8")
    if not text.startswith("<!DOCTYPE html>\n"):
        raise MalformedPageError(f"no doctype first: {text[:40]!r}")
    reader = _Reader()
    reader.feed(text)
    return reader.finish()
