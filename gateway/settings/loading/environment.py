"""Applies environment variables to a document: `SMART_GATEWAY__UPSTREAM__BASE_URL` is `upstream.base_url`.

pydantic-settings is not used, because it skips unknown names and stops at the first value that it cannot read.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from gateway.settings.loading import model_shape as shape
from gateway.settings.loading.problem import Problem, SettingsDocument, SourceLocation
from gateway.settings.loading.yaml_document import holds_control_characters, parse_yaml
from gateway.settings.section import SettingPath

PREFIX = "SMART_GATEWAY__"
_SEPARATOR = "__"


def apply_environment(document: SettingsDocument, environ: Mapping[str, str], root: Any) -> None:
    """Apply every variable that starts with the prefix. It replaces the setting that it names."""
    names = [name for name in environ if name.startswith(PREFIX)]
    for name in sorted(names, key=_sort_key):
        location = SourceLocation(variable=name)
        setting = _find_setting(name.removeprefix(PREFIX).split(_SEPARATOR), root)
        if setting is None:
            document.problems.append(Problem(location, "", "names no setting"))
            continue
        path, annotation = setting
        _forget_locations(document, path)
        text = environ[name]
        if holds_control_characters(text):
            document.problems.append(Problem(location, "", "holds control characters"))
            continue
        value = text if shape.is_text(annotation) else parse_yaml(text, path, location, document)
        document.locations[path] = location
        if not _set_value(document.values, path, value):
            document.problems.append(Problem(location, "", "has no place: the list before it is too short"))


def _sort_key(name: str) -> list[tuple[int, str]]:
    """Sorts a group before its settings, and `ISSUERS__10` after `ISSUERS__9`."""
    return [(int(part) if part.isdecimal() else -1, part) for part in name.split(_SEPARATOR)]


def _find_setting(parts: list[str], root: Any) -> tuple[SettingPath, Any] | None:
    """The path that a variable names, and the type of that setting; None if there is no such setting."""
    path: SettingPath = ()
    annotation = root
    for part in parts:
        name = part.lower()
        fields = shape.fields(annotation)
        if part == part.upper() and name in fields:
            annotation = fields[name].annotation
        elif part == part.upper() and shape.secret_given_by_file(annotation, name) is not None:
            annotation = str
        elif shape.item_type(annotation) is not None and part.isascii() and part.isdecimal() and str(int(part)) == part:
            path, annotation = (*path, int(part)), shape.item_type(annotation)
            continue
        elif shape.value_type(annotation) is not None and part:
            path, annotation = (*path, part), shape.value_type(annotation)
            continue
        else:
            return None
        path = (*path, name)
    return path, annotation


def _forget_locations(document: SettingsDocument, path: SettingPath) -> None:
    """Drop the locations of the values that the variable replaces."""
    for replaced in [other for other in document.locations if other[: len(path)] == path]:
        del document.locations[replaced]


def _set_value(values: Any, path: SettingPath, value: object) -> bool:
    """Set the value at `path`, and create the groups around it. False if a list has no such position.

    A single value where a group should be is left as it is, because that problem is reported later.
    """
    for part, following in pairwise(path):
        if not _has_position(values, part):
            return not isinstance(values, list)
        if isinstance(values, list) and part == len(values):
            values.append(None)
        if (values.get(part) if isinstance(values, dict) else values[part]) is None:
            values[part] = [] if isinstance(following, int) else {}
        values = values[part]
    last = path[-1]
    if not _has_position(values, last):
        return not isinstance(values, list)
    if isinstance(values, list) and last == len(values):
        values.append(value)
    else:
        values[last] = value
    return True


def _has_position(values: object, part: str | int) -> bool:
    if isinstance(values, list):
        return isinstance(part, int) and part <= len(values)
    return isinstance(values, dict) and isinstance(part, str)
