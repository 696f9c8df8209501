"""The table of the chart's values, from values.yaml and its comments."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

_COMMENT = re.compile(r"\s*# ?(.*)")


def values_table(file: Path) -> str:
    """A row for each value: its name, default and the comment above it."""
    lines = file.read_text(encoding="utf-8").splitlines()
    document = yaml.compose("\n".join(lines))
    assert isinstance(document, yaml.MappingNode)
    rows = [f"| `{name}` | `{default}` | {comment} |" for name, default, comment in _rows(document, "", lines)]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows])


def _rows(group: yaml.MappingNode, prefix: str, lines: list[str]) -> Iterator[tuple[str, str, str]]:
    for key, value in group.value:
        comment = _comment_above(lines, key.start_mark.line)
        name = f"{prefix}{key.value}"
        # A group in braces is one value.
        if isinstance(value, yaml.MappingNode) and value.value and not value.flow_style:
            if comment:
                yield name, "", comment
            yield from _rows(value, f"{name}.", lines)
        else:
            yield name, json.dumps(yaml.safe_load(yaml.serialize(value))), comment


def _comment_above(lines: list[str], line: int) -> str:
    found: list[str] = []
    while line and (match := _COMMENT.fullmatch(lines[line - 1])) is not None:
        line -= 1
        found.insert(0, match[1])
    # A blank comment line, and settings as an example, end what belongs to the value.
    text = " ".join(part for part in found if not re.match(r"\s*[a-z_]+:( |$)", part))
    return text.replace("|", r"\|").strip()
