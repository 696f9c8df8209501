"""Lays environment variables over what a file says: `SMART_GATEWAY__UPSTREAM__BASE_URL` is `upstream.base_url`.

pydantic-settings reads variables too, but skips names that it does not know and stops at the first value that it cannot
read; an operator is to see every problem at once.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from gateway.settings import shape
from gateway.settings.document import holds_control_characters, parse_yaml
from gateway.settings.problem import Document, Place, Problem
from gateway.settings.section import Path

PREFIX = "SMART_GATEWAY__"
_SEPARATOR = "__"


def apply_environment(document: Document, environ: Mapping[str, str], root: Any) -> None:
    """Put every variable that starts with the prefix in its place; it replaces the setting that it names."""
    names = [name for name in environ if name.startswith(PREFIX)]
    for name in sorted(names, key=_natural):
        place = Place(variable=name)
        found = _find(name.removeprefix(PREFIX).split(_SEPARATOR), root)
        if found is None:
            document.problems.append(Problem(place, "", "names no setting"))
            continue
        path, annotation = found
        _forget(document, path)
        text = environ[name]
        if holds_control_characters(text):
            document.problems.append(Problem(place, "", "holds control characters"))
            continue
        value = text if shape.is_text(annotation) else parse_yaml(text, path, place, document)
        document.places[path] = place
        if not _put(document.values, path, value):
            document.problems.append(Problem(place, "", "has no place: the list before it is too short"))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts a group before what is inside it, and `ISSUERS__10` behind `ISSUERS__9`."""
    return [(int(part) if part.isdecimal() else -1, part) for part in name.split(_SEPARATOR)]


def _find(parts: list[str], root: Any) -> tuple[Path, Any] | None:
    """The path that a variable names, and what stands there; None where it leads nowhere."""
    path: Path = ()
    annotation = root
    for part in parts:
        name = part.lower()
        fields = shape.fields(annotation)
        if part == part.upper() and name in fields:
            annotation = fields[name].annotation
        elif part == part.upper() and shape.secret_of(annotation, name) is not None:
            annotation = str
        elif shape.item(annotation) is not None and part.isascii() and part.isdecimal() and str(int(part)) == part:
            path, annotation = (*path, int(part)), shape.item(annotation)
            continue
        elif shape.value(annotation) is not None and part:
            path, annotation = (*path, part), shape.value(annotation)
            continue
        else:
            return None
        path = (*path, name)
    return path, annotation


def _forget(document: Document, path: Path) -> None:
    """Drop the places of what the variable replaces."""
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]


def _put(values: Any, path: Path, value: object) -> bool:
    """Set the value at `path`, making the groups around it. False where a list has no such position.

    A group that is not one, because the file gave a single value, is left as it is: that problem comes first.
    """
    for part, following in pairwise(path):
        if not _fits(values, part):
            return not isinstance(values, list)
        if isinstance(values, list) and part == len(values):
            values.append(None)
        if (values.get(part) if isinstance(values, dict) else values[part]) is None:
            values[part] = [] if isinstance(following, int) else {}
        values = values[part]
    last = path[-1]
    if not _fits(values, last):
        return not isinstance(values, list)
    if isinstance(values, list) and last == len(values):
        values.append(value)
    else:
        values[last] = value
    return True


def _fits(values: object, part: str | int) -> bool:
    if isinstance(values, list):
        return isinstance(part, int) and part <= len(values)
    return isinstance(values, dict) and isinstance(part, str)
