"""The chart's files as data: its values, and the schema that they must keep."""

import copy
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator, ValidationError

from scripts.chart_files import CHART

BASE_URL = "https://fhir.example.org/r4"

Values = dict[str, Any]


def read_values(*names: str, changes: Values | None = None) -> Values:
    """The defaults of the chart with the files of these names, a base URL, and the changes, merged as Helm does."""
    values = _read(CHART / "values.yaml")
    values["config"]["public_base_url"] = BASE_URL
    for name in names:
        _merge(values, _read(CHART / name))
    _merge(values, copy.deepcopy(changes or {}))
    return values


@cache
def schema() -> Values:
    """values.schema.json."""
    return dict(json.loads((CHART / "values.schema.json").read_text()))


def problems(values: Values) -> list[str]:
    """What the schema refuses, each with its place."""
    errors = Draft7Validator(schema()).iter_errors(values)
    # Where null is allowed too, the context says what is wrong with a value that is not null.
    return [f"{_place(detail.absolute_path)}: {detail.message}" for error in errors for detail in _innermost(error)]


def _innermost(error: ValidationError) -> Iterator[ValidationError]:
    if not error.context:
        yield error
    for inner in error.context:
        yield from _innermost(inner)


def _place(path: Iterable[str | int]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _read(file: Path) -> Values:
    return dict(yaml.safe_load(file.read_text()))


def _merge(values: Values, changes: Values) -> None:
    for name, value in changes.items():
        if value is None and name in values:
            # Helm removes what a later file has as null.
            del values[name]
        elif isinstance(value, dict) and isinstance(values.get(name), dict):
            _merge(values[name], value)
        else:
            values[name] = value
