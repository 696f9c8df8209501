"""Reads YAML into plain values with the line of each. Ambiguous YAML is a problem.

PyYAML's own constructor keeps the last of two equal keys and follows aliases; here both are problems.
"""

import math
import re
from pathlib import Path as FilePath

import yaml

from gateway.settings import section
from gateway.settings.loading.problem import Problem, SettingsDocument, SourceLocation, dotted_path

_TAG = "tag:yaml.org,2002:"
_MAX_DEPTH = 30
# PyYAML's messages may quote part of a password that was not quoted (`password: *abc`), so quotations are removed, but
# not punctuation and token names.
_QUOTED = re.compile(r" ['\"][\w!\-][^'\"]+['\"]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def read_document(path: FilePath) -> SettingsDocument:
    """The values of a configuration file. Never raises: everything that is wrong is in `problems`."""
    location = SourceLocation(file=str(path))
    document = SettingsDocument(locations={(): location})
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        document.problems.append(Problem(location, "", f"cannot be read: {describe_read_error(error)}"))
        return document
    values = parse_yaml(text, (), location, document)
    if isinstance(values, dict):
        document.values = values
    elif values is not None:
        document.problems.append(Problem(location, "", "must be a mapping of settings"))
    return document


def describe_read_error(error: OSError | UnicodeDecodeError | ValueError) -> str:
    """Why a file could not be read, in a clause."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "its path is not valid"


def holds_control_characters(text: str) -> bool:
    """Whether a text has control characters besides tab and line feed, or bytes that are not UTF-8."""
    return _CONTROL.search(text) is not None


def parse_yaml(text: str, path: section.SettingPath, location: SourceLocation, document: SettingsDocument) -> object:
    """The value of `text`. Adds its locations and problems to `document`, below `path`."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        reason = _QUOTED.sub("", ", ".join(part for part in (error.context, error.problem) if part))
        document.problems.append(
            Problem(_location_at(location, error.problem_mark), "", f"is not valid YAML: {reason}")
        )
        return None
    except yaml.YAMLError:
        document.problems.append(
            Problem(location, "", "is not valid YAML: it holds characters that YAML does not allow")
        )
        return None
    except RecursionError:
        document.problems.append(Problem(location, "", "is nested too deeply"))
        return None
    return _NodeReader(document, location).value(node, path) if node is not None else None


def _location_at(source: SourceLocation, mark: yaml.Mark | None) -> SourceLocation:
    return SourceLocation(file=source.file, line=mark.line + 1) if mark is not None and not source.variable else source


class _NodeReader:
    """Reads a tree of nodes, each node once."""

    def __init__(self, document: SettingsDocument, location: SourceLocation) -> None:
        self._document = document
        self._location = location
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, path: section.SettingPath) -> object:
        """The plain value of a node; None with a problem if it has none."""
        self._document.locations.setdefault(path, _location_at(self._location, node.start_mark))
        if id(node) in self._seen:
            return self._refuse(path, "is an alias (*) of another value; write the value out")
        self._seen.add(id(node))
        if len(path) > _MAX_DEPTH:
            return self._refuse(path, "is nested too deeply")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: section.SettingPath) -> dict[str, object]:
        values: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                location = _location_at(self._location, key.start_mark)
                self._document.problems.append(Problem(location, dotted_path(path), "has a key that is not text"))
                continue
            member_path = (*path, key.value)
            if key.value in values:
                first = self._document.locations[member_path]
                first_line = "" if self._location.variable else f" (first on line {first.line})"
                self._document.problems.append(
                    Problem(
                        _location_at(self._location, key.start_mark),
                        dotted_path(member_path),
                        f"is given twice{first_line}",
                    )
                )
                continue
            self._document.locations[member_path] = _location_at(self._location, key.start_mark)
            values[key.value] = self.value(value, member_path)
        return values

    def _scalar(self, node: yaml.Node, path: section.SettingPath) -> object:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() in {"true", "yes", "on"}
            case "int" | "float" as kind:
                return _number(kind, text)
            case "str" | "timestamp" | "value" | "merge":
                if holds_control_characters(text):
                    return self._refuse(path, "holds control characters")
                return text
            case _:
                return self._refuse(path, "has a YAML tag (!), which has no meaning here; quote it if it is text")

    def _refuse(self, path: section.SettingPath, sentence: str) -> object:
        self._document.add_problem(path, sentence)
        return None


def _number(kind: str, text: str) -> int | float | str:
    """Only decimal numbers. `0644`, `1:30` and `.inf` stay text, which is refused if a number is needed."""
    try:
        if kind == "int":
            return int(text) if text.lstrip("+-").isdigit() and not _octal(text) else text
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _octal(text: str) -> bool:
    digits = text.lstrip("+-")
    return len(digits) > 1 and digits.startswith("0")
