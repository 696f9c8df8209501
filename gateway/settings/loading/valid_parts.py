"""The valid parts of a configuration that is not valid as a whole, so that conflicts between them are found as well."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gateway.settings.loading import model_shape as shape
from gateway.settings.loading.problem_sentences import PathProblem
from gateway.settings.model import Settings
from gateway.settings.section import Conflict, Section, SettingPath

Rule = Callable[[Settings], Iterator[Conflict]]
_INVALID = object()


def find_conflicts(values: object, rules: Iterable[Rule]) -> Iterator[PathProblem]:
    """The conflicts between the valid settings of a document, by the rules of its sections and by `rules`.

    `values` may be settings that are valid; these have no conflicts of their own.
    """
    settings = values if isinstance(values, Settings) else _read_section(Settings, values)
    if isinstance(settings, Settings):
        if settings is not values:
            yield from _conflicts_below(settings, ())
        for rule in rules:
            yield from _apply(partial(rule, settings), ())


def _conflicts_below(value: object, path: SettingPath) -> Iterator[PathProblem]:
    if isinstance(value, Section):
        for rule in value.conflict_rules():
            yield from _apply(rule, path)
        for name in type(value).model_fields:
            yield from _conflicts_below(value.__dict__.get(name), (*path, name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _conflicts_below(item, (*path, index))


def _apply(rule: Callable[[], Iterator[Conflict]], path: SettingPath) -> Iterator[PathProblem]:
    """The conflicts of a rule; none if it reads a setting that is missing since it is not valid."""
    try:
        conflicts = list(rule())
    except AttributeError:
        return
    for conflict in conflicts:
        yield (*path, *conflict.path), conflict.sentence


def _read_section(section: type[Section], values: object) -> object:
    """The section with its valid settings, where the others are missing."""
    if not isinstance(values, dict):
        return _INVALID
    read = {name: _read_field(section, name, values[name]) for name in section.model_fields if name in values}
    valid: dict[str, Any] = {name: value for name, value in read.items() if value is not _INVALID}
    incomplete = section.model_construct(None, **valid)
    for name, field in section.model_fields.items():
        if name not in valid and (name in read or field.is_required()):
            incomplete.__dict__.pop(name, None)
    return incomplete


def _read_field(section: type[Section], name: str, value: object) -> object:
    return _read(_adapter(section, name), section.model_fields[name].annotation, value)


@cache
def _adapter(section: type[Section], name: str) -> TypeAdapter[Any]:
    return TypeAdapter(section.model_fields[name].rebuild_annotation())


@cache
def _item_adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def _read(adapter: TypeAdapter[Any], annotation: Any, value: object) -> object:
    """The value, or its valid parts if it is a section or a list of sections."""
    try:
        return adapter.validate_python(value)
    except ValidationError:
        pass
    item_type = shape.item_type(annotation)
    if item_type is not None and shape.sections(item_type) and isinstance(value, list):
        items = tuple(_read(_item_adapter(item_type), item_type, item) for item in value)
        return _INVALID if _INVALID in items else items
    section = _section_of(annotation, value)
    return _INVALID if section is None else _read_section(section, value)


def _section_of(annotation: Any, value: object) -> type[Section] | None:
    """The section that a value is meant to be; `kind` decides between several."""
    sections = shape.sections(annotation)
    if len(sections) <= 1 or not isinstance(value, dict):
        return sections[0] if sections else None
    kind = value.get("kind")
    return next((one for one in sections if shape.only_literal(one.model_fields["kind"].annotation) == kind), None)
