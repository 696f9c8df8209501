"""Turns pydantic's errors into sentences that follow the name of a setting: "must be at least 1"."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from gateway.settings.loading import model_shape as shape
from gateway.settings.loading.problem import value_at
from gateway.settings.section import CONFLICTS, SettingPath

PathProblem = tuple[SettingPath, str]
_Context = Mapping[str, Any]

_SENTENCES: Mapping[str, Callable[[_Context], str]] = {
    "missing": lambda _: "is required",
    "bool_type": lambda _: "must be true or false",
    "int_type": lambda _: "must be a whole number",
    "float_type": lambda _: "must be a number",
    "string_type": lambda _: "must be text; put it in quotes",
    "path_type": lambda _: "must be the path of a file",
    "path_not_file": lambda _: "must be the path of a file that exists",
    "tuple_type": lambda _: "must be a list",
    "frozen_set_type": lambda _: "must be a list",
    "model_type": lambda _: "must be a group of settings",
    "model_attributes_type": lambda _: "must be a group of settings",
    "mapping_type": lambda _: "must be a mapping",
    "greater_than": lambda context: f"must be more than {context['gt']:g}",
    "greater_than_equal": lambda context: f"must be at least {context['ge']:g}",
    "less_than_equal": lambda context: f"must be at most {context['le']:g}",
    "string_too_long": lambda context: f"must have at most {context['max_length']} characters",
    "too_long": lambda context: f"must have at most {context['max_length']} characters",
    "dict_type": lambda _: "must be a mapping",
    "finite_number": lambda _: "must be a number",
    "too_short": lambda _: "must not be empty",
    "enum": lambda context: f"must be {context['expected']}",
    "literal_error": lambda context: f"must be {context['expected']}",
    "value_error": lambda context: str(context["error"]),
}


def describe_error(error: ErrorDetails, values: object, root: Any) -> Iterator[PathProblem]:
    """The sentences for one pydantic error, each with the path of its setting. `values` are the validated values."""
    path, kind, context = _setting_path(error["loc"], values), error["type"], error.get("ctx", {})
    if kind == CONFLICTS:
        for conflict in context[CONFLICTS]:
            yield (*path, *conflict.path), conflict.sentence
    elif kind == "union_tag_not_found":
        yield (*path, "kind"), "is required"
    elif kind == "union_tag_invalid":
        yield (*path, "kind"), f"must be one of {context['expected_tags']}"
    elif kind == "extra_forbidden":
        yield path, _describe_unknown_setting(path, root)
    elif kind != "missing" and error["input"] is None:
        yield path, "has no value; give it one or leave it out"
    elif kind != "too_short" or not error["input"]:
        # Pydantic counts the valid items; those that are not valid have been reported already.
        sentence = _SENTENCES.get(kind)
        yield path, sentence(context) if sentence is not None else "is not valid"


def _setting_path(location: tuple[str | int, ...], values: object) -> SettingPath:
    """Pydantic's location as a path of the document, without the kind of a section and without `[key]`."""
    path: list[str | int] = []
    for index, part in enumerate(location):
        last = index + 1 == len(location)
        is_kind = isinstance(values, dict) and part == values.get("kind") and not (last and part in values)
        if part != "[key]" and not is_kind:
            path.append(part)
            values = value_at(values, (part,))
    return tuple(path)


def _describe_unknown_setting(path: SettingPath, root: Any) -> str:
    annotation = root
    for part in path[:-1]:
        fields = shape.fields(annotation)
        member_type = shape.item_type(annotation) if isinstance(part, int) else shape.value_type(annotation)
        annotation = fields[part].annotation if isinstance(part, str) and part in fields else member_type
    if path[-1] in shape.fields(annotation):
        return "is not a setting of this kind"
    matches = difflib.get_close_matches(str(path[-1]), list(shape.fields(annotation)), n=1)
    return f"is not a setting; did you mean {matches[0]}?" if matches else "is not a setting"
