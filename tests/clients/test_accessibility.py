"""Every page in Chromium: axe-core finds nothing, nothing is cut off or too wide, and the keyboard reaches it all."""

import os
from pathlib import Path
from typing import Any

import pytest

from gateway.pages.branding import UNBRANDED
from gateway.pages.render import PageRenderer
from tests.clients.node import Node
from tests.pages.crowded_samples import CROWDED
from tests.pages.rendering import render
from tests.pages.samples import VIEWS

pytestmark = [pytest.mark.sekmet]

# axe needs seconds for it, and it has no element that the others lack.
LONG = "two hundred"
KEYBOARD = (
    "a sign-in for an app, here or elsewhere", "a picker that found more", "a consent of a patient", "grants",
    "apps with people found", "a consent that asks for a purpose",
)  # fmt: skip
# All widths and colours for one of each kind; each width and each colour once for the others.
ALL_MODES = ("a consent of a patient", "apps with people found", "german consent")
AXE_OF_CROWDED = ("german consent", "german gallery", "from the right patient")


async def look_at(node: Node, chromium: str, folder: Path, pages: dict[str, bytes], **asked: Any) -> dict[str, Any]:
    for name, page in pages.items():
        (folder / f"{name}.html").write_bytes(page)
    arguments = {
        "origin": "http://127.0.0.1:0", "chromium": chromium, "folder": str(folder), "pages": list(pages),
        "allModes": ALL_MODES, "keyboard": (), "pictures": os.environ.get("SMART_GATEWAY_PICTURES"), **asked,
    }  # fmt: skip
    found = await node.run("browser/accessibility.mjs", arguments, seconds=240)
    # The logos of the samples are nowhere.
    assert [text for text in found.pop("complaints") if "ERR_NAME_NOT_RESOLVED" not in text] == []
    return found


def assert_nothing_is_wrong(found: dict[str, Any]) -> None:
    assert {name: page["violations"] for name, page in found.items() if page["violations"]} == {}
    assert {name: page["tooWide"] for name, page in found.items() if page["tooWide"]} == {}
    assert {name: page["cut"] for name, page in found.items() if page["cut"]} == {}


async def test_every_page_can_be_read_and_used_by_everybody(node: Node, chromium: str, tmp_path: Path) -> None:
    pages = {name.replace("/", "-"): render(view) for name, view in VIEWS.items()}
    axe = [name for name in pages if LONG not in name]
    found = await look_at(node, chromium, tmp_path, pages, axe=axe, keyboard=KEYBOARD)
    assert set(found) == set(pages)
    assert_nothing_is_wrong(found)
    walks = {name: found[name]["keyboard"] for name in KEYBOARD}
    assert all(walk["steps"] >= 3 for walk in walks.values()), walks
    assert {name: (walk["outOfOrder"], walk["unseen"]) for name, walk in walks.items()} == {
        name: ([], []) for name in KEYBOARD
    }


async def test_long_names_other_languages_and_thirty_scopes_fit_the_narrowest_screen(
    node: Node, chromium: str, tmp_path: Path
) -> None:
    pages = {
        name: PageRenderer(branding or UNBRANDED).render(view, language)
        for name, (view, language, branding) in CROWDED.items()
    }
    found = await look_at(node, chromium, tmp_path, pages, axe=AXE_OF_CROWDED)
    assert set(found) == set(pages)
    assert_nothing_is_wrong(found)


async def test_the_measures_find_what_is_wrong(node: Node, chromium: str, tmp_path: Path) -> None:
    bad = (
        '<!DOCTYPE html><html><head><meta name="viewport" content="width=device-width"><title>x</title>'
        "<style>*:focus { outline: none } p { color: #aaa } .w { width: 500px }"
        "button { width: 20px; overflow: hidden }"
        '</style></head><body><main><h1>x</h1><p>pale</p><img src="data:,"><div class="w">wide</div>'
        '<button tabindex="2">second</button><button tabindex="1">first of all</button></main></body></html>'
    )
    found = (await look_at(node, chromium, tmp_path, {"bad": bad.encode()}, axe=("bad",), keyboard=("bad",)))["bad"]
    violations = " ".join(found["violations"])
    assert all(rule in violations for rule in ("color-contrast", "image-alt", "html-has-lang"))
    assert found["tooWide"] > 100
    assert found["cut"] == ["second", "first of all"]
    assert found["keyboard"]["outOfOrder"]
    assert len(found["keyboard"]["unseen"]) == 2
