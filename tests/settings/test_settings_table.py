"""The table of settings and config/gateway.yaml describe the settings as the model does."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from gateway.settings.loading.load import load_settings
from gateway.settings.loading.settings_table import REQUIRED, describe_settings, settings_table

FILE = Path(__file__).parents[2] / "config" / "gateway.yaml"
TEXT = FILE.read_text(encoding="utf-8")
COMMENTED_OUT = re.compile(r"^(\s*)#(?=[-a-z])", re.MULTILINE)


def _leaves(node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node]]:
    """Every setting of a file by its path in the table's notation, without groups."""
    if isinstance(node, yaml.MappingNode) and node.value and path not in _single_values():
        for key, value in node.value:
            yield from _leaves(value, f"{path}.{key.value}" if path else key.value)
    elif isinstance(node, yaml.SequenceNode) and node.value and isinstance(node.value[0], yaml.MappingNode):
        for item in node.value:
            yield from _leaves(item, f"{path}[]")
    elif path:
        yield path, node


def _single_values() -> set[str]:
    return {
        "compartments.extra_membership",
        "compartments.panel[].criteria",
        "upstream.extra_search_parameters",
        "operations",
        "smart_server.clients[].jwks",
        "smart_server.user_scopes",
    }


def _compose(text: str) -> Any:
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _groups() -> set[str]:
    """Settings that have settings inside: a list of groups, or a group that may be left out."""
    keys = {setting.key for setting in describe_settings()}
    return {key for key in keys if any(other.startswith((f"{key}.", f"{key}[]")) for other in keys)}


def test_the_annotated_file_is_valid_as_it_stands() -> None:
    assert load_settings(FILE, {}).issuers


def test_the_annotated_file_shows_every_setting_and_no_other() -> None:
    settings = {path for path, _ in _leaves(_compose(COMMENTED_OUT.sub(r"\1", TEXT)), "")}
    assert settings == {setting.key for setting in describe_settings()} - _groups()


def test_the_annotated_file_shows_defaults_or_marks_an_example() -> None:
    defaults = {setting.key: setting.default for setting in describe_settings()}
    lines = TEXT.splitlines()
    for path, node in _leaves(_compose(TEXT), ""):
        marked = any("# example" in lines[line] for line in (node.start_mark.line, node.start_mark.line - 1))
        if marked or path in _groups() or path not in defaults:
            continue  # a group whose settings are all commented out is no setting of the table
        assert defaults[path] != REQUIRED, f"{path} has no default, so its line must say '# example'"
        value = yaml.safe_load(TEXT[node.start_mark.index : node.end_mark.index])
        assert value == yaml.safe_load(defaults[path] or "null"), path


def test_what_has_a_default_is_not_commented_out() -> None:
    uncommented = {path for path, _ in _leaves(_compose(TEXT), "")}
    # The file shows the SMART server, which excludes another authorization server. The others are lists and a section
    # of which there are none unless an operator wants them.
    excluded = (
        "compartments.panel", "authorization_server", "app_state", "smart_server.clients[].app_state",
        "smart_server.purposes_of_use", "audit.events", "listen.tls", "shadow", "admin.tls", "admin.provider",
        "tracing",
    )  # fmt: skip
    with_default = {setting.key for setting in describe_settings() if setting.default not in {"", REQUIRED}}
    with_default -= {key for key in with_default if key.startswith(excluded)}
    assert with_default - _groups() <= uncommented


def test_the_annotated_file_explains_every_setting_in_the_words_of_the_model() -> None:
    comments = " ".join(line.strip().removeprefix("- ").removeprefix("# ") for line in TEXT.splitlines())
    for setting in describe_settings():
        assert setting.meaning in comments, setting.key


def test_every_setting_is_a_row_of_the_table() -> None:
    table = settings_table()
    assert table.startswith("| setting | default | meaning | change |\n|---|---|---|---|\n")
    rows = table.splitlines()[2:]
    assert len(rows) == len({setting.key for setting in describe_settings()})
    assert all(row.count("|") == 5 and row.rstrip().endswith((". | reload |", ". | restart |")) for row in rows)
    assert "| `upstream.pool.connections` | `32` | How many connections may be open at once. | reload |" in rows
    assert "| `public_base_url` | required | " in table


def test_every_setting_is_explained_by_a_sentence() -> None:
    assert [setting.key for setting in describe_settings() if not setting.meaning or "None" in setting.meaning] == []
