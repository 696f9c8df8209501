"""Every citation in code and tests leads to a document of docs/design, and to the section or number that it names."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.spec.manifest import is_known, requirements

ROOT = Path(__file__).resolve().parents[2]
DESIGN = ROOT / "docs" / "design"
PAGES = {page.name: page.read_text(encoding="utf-8") for page in DESIGN.glob("*.md")}
REQUIREMENT_SECTIONS = set(re.findall(r"^\| (\d\.\d+) \|", PAGES["checklist.md"], re.MULTILINE))
_SUFFIXES = {".py", ".lark", ".txt", ".yaml", ".html"}

_NUMBERS = r"\d+[a-z]?(?:(?:\.\.|-|, | and )\d+[a-z]?)*"
_PLACE = rf'(?:fixed )?(?:rules? |choice )?({_NUMBERS}(?:\.\d+)?|B\d+(?:, B\d+)*|"[^"]+")'
_DOCUMENT = re.compile(rf"\b([a-z-]+)\.md(?: {_PLACE})?")
_LEAK = re.compile(r"\bleak_(\d\d)")
_EDGE = re.compile(rf"\b[Ee]dge(?: cases?)? ({_NUMBERS})")
_CHOICE = re.compile(rf"\bfixed choices? ({_NUMBERS})")
_CONTRADICTION = re.compile(r"\bcontradictions? (\d+)")
_CHECKLIST = re.compile(r"\b[Cc]hecklist (?:section )?(\d(?:\.\d+)?)(?:(?:-| and |, )(\d\.\d+))*")
_REQUIREMENT = re.compile(r"\b((?:G|R|D|C|A|E|S|T|RF|PK|CS|CA|BS|SC|LC|ID|IN|RV|RS|CO|ER|BP|EX|WE)-\d+)\b")


@dataclass(frozen=True)
class Source:
    """A file that may cite."""

    name: str
    text: str


def _sources(*roots: str) -> Iterator[Source]:
    for root in roots:
        for path in sorted((ROOT / root).rglob("*")):
            if path.suffix in _SUFFIXES and "node_modules" not in path.parts and "docs" not in path.parts:
                yield Source(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))


CODE = list(_sources("gateway"))
ALL = [*CODE, *_sources("tests", "bench", "scripts")]


def _expanded(numbers: str) -> set[str]:
    """`29-31, 62b` as single numbers."""
    single: set[str] = set()
    for part in re.split(r", | and ", numbers):
        ends = re.split(r"\.\.|-", part)
        if len(ends) == 2:
            single |= {str(number) for number in range(int(ends[0]), int(ends[1]) + 1)}
        else:
            single.add(part)
    return single


def _items(page: str) -> set[str]:
    """The numbers of headings (`## 4`, `## 4.7`), of list items (`12.`) and of rows (`| 143 |`, `| B2 |`)."""
    patterns = (r"^#+ (\d+(?:\.\d+)?)", r"^(\d+)\. ", r"^\| (\d+[a-z]?|B\d+) \|")
    return {match for pattern in patterns for match in re.findall(pattern, PAGES[page], re.MULTILINE)}


def _headings(page: str) -> set[str]:
    return set(re.findall(r"^#+ +(.+?) *$", PAGES[page], re.MULTILINE))


def _broken(sources: list[Source], pattern: re.Pattern[str], known: set[str]) -> list[str]:
    return [
        f"{source.name}: {match[0]}"
        for source in sources
        for match in pattern.finditer(source.text)
        if not _expanded(match[1]) <= known
    ]


def test_a_citation_of_a_document_names_one_that_exists_and_what_it_holds() -> None:
    broken = [
        f"{source.name}: {match[0]}"
        for source in CODE
        for match in _DOCUMENT.finditer(source.text)
        if not _leads_somewhere(f"{match[1]}.md", match[2])
    ]
    assert broken == []


def _leads_somewhere(page: str, place: str | None) -> bool:
    if page not in PAGES:
        return (ROOT / "docs" / page).exists()
    if place is None:
        return True
    if place.startswith('"'):
        return place.strip('"') in _headings(page)
    return place in _items(page) or _expanded(place) <= _items(page)


def test_every_leak_that_is_cited_is_listed() -> None:
    listed = set(re.findall(r"^\| `leak_(\d\d)` \|", PAGES["leaks.md"], re.MULTILINE))
    assert _broken(ALL, _LEAK, listed) == []


def test_every_edge_case_that_is_cited_is_listed() -> None:
    assert _broken(ALL, _EDGE, _items("edge-cases.md")) == []


def test_every_fixed_choice_that_is_cited_is_listed() -> None:
    assert _broken(ALL, _CHOICE, _items("authorization.md")) == []


def test_every_contradiction_that_is_cited_is_listed() -> None:
    assert _broken(ALL, _CONTRADICTION, _items("checklist.md")) == []


def test_every_section_of_the_checklist_that_is_cited_is_listed() -> None:
    known = REQUIREMENT_SECTIONS | _items("checklist.md")
    broken = [
        f"{source.name}: {match[0]}"
        for source in ALL
        for match in _CHECKLIST.finditer(source.text)
        if not set(re.findall(r"\d(?:\.\d+)?", match[0])) <= known
    ]
    assert broken == []


def test_every_requirement_that_the_code_cites_is_known() -> None:
    known = {line.id for line in requirements()}
    broken = [
        f"{source.name}: {match[1]}"
        for source in CODE
        for match in _REQUIREMENT.finditer(source.text)
        if not is_known(match[1], known)
    ]
    assert broken == []


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_design_document_is_named_in_the_index(page: str) -> None:
    assert page == "README.md" or f"]({page})" in PAGES["README.md"]


def test_the_architecture_names_every_package() -> None:
    packages = {path.parent.relative_to(ROOT) for path in (ROOT / "gateway").rglob("__init__.py")}
    named = set(re.findall(r"`(gateway/[\w/]+)`", PAGES["architecture.md"]))
    assert {str(package) for package in packages if str(package) != "gateway"} <= named


def test_citations_are_found_at_all() -> None:
    """A pattern that matches nothing would make every test here pass."""
    text = "\n".join(source.text for source in CODE)
    least = {_DOCUMENT: 40, _LEAK: 10, _EDGE: 50, _CHOICE: 3, _CHECKLIST: 10, _REQUIREMENT: 100}
    for pattern, count in least.items():
        assert len(pattern.findall(text)) >= count, pattern.pattern
