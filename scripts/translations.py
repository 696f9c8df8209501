"""Keep the catalogues of the pages' languages up to date with the code and the templates: `make translations`.

`python -m scripts.translations` writes every `pages.po` anew with the texts of today, and compiles it into the
`pages.mo` beside it, which the gateway reads. `--add fr` starts a language.
"""

import argparse
import ast
import io
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parent.parent
CATALOGUES = ROOT / "gateway/languages/catalogues"
_TEMPLATE_KEYWORDS: dict[str, tuple[int, ...] | None] = {"_": None, "gettext": None, "ngettext": (1, 2)}
# Which arguments of a call are texts, by position and name.
_CALLS: dict[str, tuple[int | str, ...]] = {
    "gettext": (0,),
    "gettext_noop": (0,),
    "PageError": (1, "message", "title", "advice"),
    "WayBack": (1,),
    "unusable_request": (1,),
}
# Names and dates in the header of a catalogue, which would change with every run.
_HEADER_TO_LEAVE_OUT = re.compile(
    rb'^"(?:POT-Creation-Date|PO-Revision-Date|Report-Msgid|Last-Trans|Language-Team|Generated-By|Project-Id).*\n',
    re.MULTILINE,
)
_NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)
_Text = str | tuple[str, ...]


def extract_texts() -> Catalog:
    """Every text of the pages, with the file that it stands in."""
    catalogue = Catalog(project="smart-fhir-gateway", charset="utf-8")
    for file in sorted((ROOT / "gateway").rglob("*.py")):
        for message in _texts_of_module(file):
            _add(catalogue, message, file)
    for file in sorted((ROOT / "gateway/pages/templates").rglob("*.html")):
        options = {"trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true", "newstyle_gettext": "true"}
        with file.open("rb") as template:
            found = extract("jinja2.ext:babel_extract", template, _TEMPLATE_KEYWORDS, (), options)
            for _, text, _, _ in found:
                _add(catalogue, text, file)
    return catalogue


def _add(catalogue: Catalog, message: _Text, file: Path) -> None:
    """Line numbers are left out: they would change with every edit."""
    catalogue.add(message, locations=[(str(file.relative_to(ROOT)), 0)])


def _texts_of_module(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for place in _CALLS.get(name, ()):
            yield from _literals(_argument(node, place))


def _argument(call: ast.Call, place: int | str) -> ast.expr | None:
    if isinstance(place, int):
        return call.args[place] if place < len(call.args) else None
    return next((keyword.value for keyword in call.keywords if keyword.arg == place), None)


def _literals(argument: ast.expr | None) -> Iterator[str]:
    """The text, or both texts of a choice between two."""
    match argument:
        case ast.Constant(str() as text) if text:
            yield text
        case ast.IfExp():
            yield from _literals(argument.body)
            yield from _literals(argument.orelse)


def catalogue_files() -> list[Path]:
    """The source of each language's catalogue."""
    return sorted(CATALOGUES.glob("*/LC_MESSAGES/pages.po"))


def updated(file: Path, texts: Catalog) -> Catalog:
    """The catalogue of the file with the texts of today: new ones are empty, and those that are gone are left out."""
    with file.open("rb") as source:
        old = read_po(source, locale=file.parts[-3].replace("-", "_"))
    old.update(texts, no_fuzzy_matching=True)
    old.obsolete.clear()
    return old


def po_bytes(catalogue: Catalog) -> bytes:
    """The source of the catalogue."""
    catalogue.header_comment = "# The texts of the pages. Written by `make translations`; the translations are yours."
    catalogue.fuzzy = False
    target = io.BytesIO()
    write_po(target, catalogue, width=120, sort_output=True, omit_header=False, include_lineno=False)
    return _HEADER_TO_LEAVE_OUT.sub(b"", target.getvalue())


def mo_bytes(catalogue: Catalog) -> bytes:
    """The compiled catalogue."""
    source, target = io.BytesIO(po_bytes(catalogue)), io.BytesIO()
    compiled = read_po(source, locale=catalogue.locale)
    compiled.creation_date = compiled.revision_date = _NO_DATE
    write_mo(target, compiled)
    return target.getvalue()


def main() -> int:
    """Update and compile every catalogue. 1 if a text has no translation yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", metavar="TAG", help="start a language, such as fr or pt-BR")
    added = parser.parse_args().add
    if added is not None:
        file = CATALOGUES / added / "LC_MESSAGES/pages.po"
        file.parent.mkdir(parents=True)
        file.write_bytes(po_bytes(Catalog(locale=added.replace("-", "_"), project="smart-fhir-gateway")))
    texts, is_complete = extract_texts(), True
    for file in catalogue_files():
        catalogue = updated(file, texts)
        file.write_bytes(po_bytes(catalogue))
        file.with_suffix(".mo").write_bytes(mo_bytes(catalogue))
        missing = [message.id for message in catalogue if message.id and not all(strings_of(message))]
        print(f"{file.relative_to(ROOT)}: {len(catalogue)} texts, {len(missing)} without a translation")
        is_complete = is_complete and not missing
    return 0 if is_complete else 1


def strings_of(message: Message) -> tuple[str, ...]:
    """The translation of the text: one for each plural form, where it has some; empty where it is missing."""
    string = message.string
    return (string or "",) if isinstance(string, str | None) else tuple(part or "" for part in string)


if __name__ == "__main__":
    sys.exit(main())
