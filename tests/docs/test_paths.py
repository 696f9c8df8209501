"""Every path, name and link in the documentation leads to a file, a name in the code or a page."""

import importlib
import re
from pathlib import Path

import pytest

from tests.spec.manifest import has_anchor

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), ROOT / "bench" / "README.md"]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
_PATH = re.compile(r"`((?:gateway|tests|scripts|docs|config|bench|deploy)/[\w./-]+?)/?`")
_NAME_IN_FILE = re.compile(r"`(gateway/[\w/]+)\.py` `([A-Za-z_]\w*(?:\.\w+)*)`")
# A letter alone is one of a scope: `Patient.r`.
_NAME_OF_CLASS = re.compile(r"`([A-Z]\w+)\.(?![cruds]`)([a-z_]\w*)`")
# Elements of FHIR resources, written as R4 does.
_OF_FHIR = {
    "Appointment.participant", "Bundle.link", "Bundle.type", "Device.patient", "Group.member", "Patient.link",
    "Task.patient",
}  # fmt: skip
_SOURCES = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "gateway").rglob("*.py"))]
_LINK = re.compile(r"\]\((?!https?:)([^)]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    named = set(_PATH.findall(page.read_text(encoding="utf-8")))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_name_beside_the_path_of_its_file_exists(page: Path) -> None:
    missing = []
    for path, name in _NAME_IN_FILE.findall(page.read_text(encoding="utf-8")):
        value: object = importlib.import_module(path.replace("/", "."))
        for part in name.split("."):
            value = getattr(value, part, None)
        if value is None:
            missing.append(f"{path}.py {name}")
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_class_and_member_that_a_page_names_stands_in_the_code(page: Path) -> None:
    named = _NAME_OF_CLASS.findall(page.read_text(encoding="utf-8"))
    missing = [f"{owner}.{member}" for owner, member in named if member != "py" and not _is_member(owner, member)]
    assert [name for name in missing if name not in _OF_FHIR] == []


def _is_member(owner: str, member: str) -> bool:
    """Whether a class of that name has such a member, by the source: a method, a field or an attribute of `self`."""
    member_of = re.compile(rf"^ +(?:async )?(?:def {member}\(|{member}[:=( ])|self\.{member}\b", re.MULTILINE)
    return any(
        re.search(rf"^class {owner}\b", source, re.MULTILINE) and member_of.search(source) for source in _SOURCES
    )


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (fragment and not has_anchor(f"{target.relative_to(ROOT)}#{fragment}")):
            broken.append(link)
    assert broken == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in _LINK.findall(page.read_text(encoding="utf-8")):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists():
                waiting.append(target)
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} <= reached
