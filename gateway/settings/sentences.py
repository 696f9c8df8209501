"""Says what pydantic found in plain sentences that follow the name of a setting: "must be at least 1"."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from gateway.settings import shape
from gateway.settings.problem import value_at
from gateway.settings.section import CONFLICTS, Path

Said = tuple[Path, str]
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
    "too_short": lambda _: "must not be empty",
    "enum": lambda context: f"must be {context['expected']}",
    "literal_error": lambda context: f"must be {context['expected']}",
    "value_error": lambda context: str(context["error"]),
}


def sentences(error: ErrorDetails, values: object, root: Any) -> Iterator[Said]:
    """What one error of pydantic says, by the path of each setting that it concerns. `values` are what it judged."""
    path, kind, context = _path(error["loc"], values), error["type"], error.get("ctx", {})
    if kind == CONFLICTS:
        for conflict in context[CONFLICTS]:
            yield (*path, *conflict.path), conflict.sentence
    elif kind == "union_tag_not_found":
        yield (*path, "kind"), "is required"
    elif kind == "union_tag_invalid":
        yield (*path, "kind"), f"must be one of {context['expected_tags']}"
    elif kind == "extra_forbidden":
        yield path, _unknown(path, root)
    elif kind != "missing" and error["input"] is None:
        yield path, "has no value; give it one or leave it out"
    elif kind != "too_short" or not error["input"]:
        # Pydantic counts the items that are right; where some are wrong, those were named already.
        say = _SENTENCES.get(kind)
        yield path, say(context) if say is not None else error["msg"]


def _path(location: tuple[str | int, ...], values: object) -> Path:
    """Pydantic's location as a path of the document: without the kind it went by, and with a key as itself."""
    path: list[str | int] = []
    for index, part in enumerate(location):
        last = index + 1 == len(location)
        is_kind = isinstance(values, dict) and part == values.get("kind") and not (last and part in values)
        if part != "[key]" and not is_kind:
            path.append(part)
            values = value_at(values, (part,))
    return tuple(path)


def _unknown(path: Path, root: Any) -> str:
    annotation = root
    for part in path[:-1]:
        fields = shape.fields(annotation)
        inside = shape.item(annotation) if isinstance(part, int) else shape.value(annotation)
        annotation = fields[part].annotation if isinstance(part, str) and part in fields else inside
    if path[-1] in shape.fields(annotation):
        return "is not a setting of this kind"
    near = difflib.get_close_matches(str(path[-1]), list(shape.fields(annotation)), n=1)
    return f"is not a setting; did you mean {near[0]}?" if near else "is not a setting"
