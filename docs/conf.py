"""How Sphinx makes the site of the documentation: `make docs`, strict in `make check`.

The pages are the Markdown files of the repository as they stand, and its root is the source folder, so that every link
that works on a code host works in the site. docs/index.md is the start page; its lists become the navigation.
"""

import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]

project = "smart-fhir-gateway"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
language = "en"
# Blocks without a word of their own are commands.
highlight_language = "sh"
copyright = "Apache-2.0"

root_doc = "docs/index"
include_patterns = ["*.md", "docs/**", "bench/README.md", "deploy/helm/*/README.md"]
exclude_patterns = ["docs/theme"]

extensions = ["myst_parser"]
# Anchors as code hosts make them.
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_title = f"smart-fhir-gateway {release}"
html_static_path = ["theme"]
html_css_files = ["book.css"]
html_additional_pages = {"index": "redirect.html"}
templates_path = ["theme"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1a5fb4", "color-brand-content": "#1a5fb4"},
    "dark_css_variables": {"color-brand-primary": "#99c1f1", "color-brand-content": "#99c1f1"},
}


def add_navigation(_: Sphinx, page: str, source: list[str]) -> None:
    """Append the navigation to the start page: for each of its sections the pages that its list links to."""
    if page != root_doc:
        return
    for section in re.split(r"^## ", source[0], flags=re.MULTILINE)[1:]:
        links = re.findall(r"^\* \[(.+?)\]\((?!https?:)(.+?\.md)\)", section, re.MULTILINE)
        if links:
            title, pages = section.partition("\n")[0], [f"{name} <{page}>" for name, page in links]
            source[0] += "\n".join(["\n```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```\n"])


def setup(app: Sphinx) -> None:
    """Called by Sphinx before it reads the pages."""
    app.connect("source-read", add_navigation)
