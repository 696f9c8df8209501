"""Reads YAML into plain values, knowing the line of each; what could have two meanings is a problem.

PyYAML's own constructor keeps the last of two equal keys and follows aliases; here both are refused.
"""

import math
import re
from pathlib import Path as FilePath

import yaml

from gateway.settings import section
from gateway.settings.problem import Document, Place, Problem, dotted

_TAG = "tag:yaml.org,2002:"
_MAX_DEPTH = 30
# What PyYAML quotes may be part of a password that was not quoted (`password: *abc`); punctuation, token names stay.
_QUOTED = re.compile(r" ['\"][\w!\-][^'\"]+['\"]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def read_document(path: FilePath) -> Document:
    """The values of a configuration file. Never raises: what is wrong stands in `problems`."""
    place = Place(file=str(path))
    document = Document(places={(): place})
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        document.problems.append(Problem(place, "", f"cannot be read: {reading_problem(error)}"))
        return document
    values = parse_yaml(text, (), place, document)
    if isinstance(values, dict):
        document.values = values
    elif values is not None:
        document.problems.append(Problem(place, "", "must be a mapping of settings"))
    return document


def reading_problem(error: OSError | UnicodeDecodeError | ValueError) -> str:
    """Why a file could not be read, in words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "its path is not valid"


def holds_control_characters(text: str) -> bool:
    """Whether a text has control characters besides tab and line feed, or bytes that are not UTF-8."""
    return _CONTROL.search(text) is not None


def parse_yaml(text: str, path: section.Path, place: Place, document: Document) -> object:
    """The value that `text` holds, its places and problems added to `document` below `path`."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        why = _QUOTED.sub("", ", ".join(part for part in (error.context, error.problem) if part))
        document.problems.append(Problem(_at(place, error.problem_mark), "", f"is not valid YAML: {why}"))
        return None
    except yaml.YAMLError:
        document.problems.append(Problem(place, "", "is not valid YAML: it holds characters that YAML does not allow"))
        return None
    except RecursionError:
        document.problems.append(Problem(place, "", "is nested too deeply"))
        return None
    return _Reader(document, place).value(node, path) if node is not None else None


def _at(place: Place, mark: yaml.Mark | None) -> Place:
    return Place(file=place.file, line=mark.line + 1) if mark is not None and not place.variable else place


class _Reader:
    """Walks a node tree once."""

    def __init__(self, document: Document, place: Place) -> None:
        self._document = document
        self._place = place
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, path: section.Path) -> object:
        """The plain value of a node; None beside a problem where it has none."""
        self._document.places.setdefault(path, _at(self._place, node.start_mark))
        if id(node) in self._seen:
            return self._refuse(path, "is an alias (*) of another value; write the value out")
        self._seen.add(id(node))
        if len(path) > _MAX_DEPTH:
            return self._refuse(path, "is nested too deeply")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(one, (*path, index)) for index, one in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: section.Path) -> dict[str, object]:
        values: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                place = _at(self._place, key.start_mark)
                self._document.problems.append(Problem(place, dotted(path), "has a key that is not text"))
                continue
            here = (*path, key.value)
            if key.value in values:
                first = self._document.places[here]
                again = "" if self._place.variable else f" (first on line {first.line})"
                self._document.problems.append(
                    Problem(_at(self._place, key.start_mark), dotted(here), f"is given twice{again}")
                )
                continue
            self._document.places[here] = _at(self._place, key.start_mark)
            values[key.value] = self.value(value, here)
        return values

    def _scalar(self, node: yaml.Node, path: section.Path) -> object:
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

    def _refuse(self, path: section.Path, sentence: str) -> object:
        self._document.add_problem(path, sentence)
        return None


def _number(kind: str, text: str) -> int | float | str:
    """Decimal numbers only: `0644`, `1:30` and `.inf` are left as text, which is then refused where a number is due."""
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
