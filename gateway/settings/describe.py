"""The settings as a table for people, read off the model, so that it cannot say anything else than what is checked."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic.fields import FieldInfo

from gateway.settings import shape
from gateway.settings.model import Settings
from gateway.settings.section import Section

REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Described:
    """One setting. `key` is its path, with `[]` for any item of a list; `default` as YAML writes it, or `required`."""

    key: str
    default: str
    meaning: str


def settings_table() -> str:
    """Every setting with its default and its meaning, as a Markdown table."""
    rows = [f"| `{one.key}` | {_code(one.default)} | {one.meaning} |" for one in described()]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows, ""])


def described() -> Iterator[Described]:
    """Every setting in the order of the model."""
    return _of_section(Settings, "")


def _of_section(section: type[Section], prefix: str) -> Iterator[Described]:
    for name, field in section.model_fields.items():
        yield from _of_field(f"{prefix}{name}", field)


def _of_field(key: str, field: FieldInfo) -> Iterator[Described]:
    kinds = shape.sections(field.annotation)
    inside = shape.sections(shape.item(field.annotation))
    if len(kinds) > 1:
        yield from _of_kinds(key, kinds)
    elif kinds:
        if not field.is_required() and field.get_default() is None:
            yield Described(key, _default(field), _meaning(field))
        yield from _of_section(kinds[0], f"{key}.")
    elif inside:
        yield Described(key, _default(field), _meaning(field))
        yield from _of_section(inside[0], f"{key}[].")
    else:
        yield Described(key, _default(field), _meaning(field))


def _of_kinds(key: str, kinds: list[type[Section]]) -> Iterator[Described]:
    words = {kind: str(shape.literal(kind.model_fields["kind"].annotation)) for kind in kinds}
    choices = "; ".join(f"`{word}`: {_first_lower(inspect.getdoc(kind) or '')}" for kind, word in words.items())
    yield Described(f"{key}.kind", next(iter(words.values())), f"{choices}.")
    for kind, word in words.items():
        for name, field in kind.model_fields.items():
            if name != "kind":
                yield Described(f"{key}.{name}", _default(field), f"{_meaning(field)} For the kind `{word}`.")


def _meaning(field: FieldInfo) -> str:
    also = " Or the path of a file that holds it, as `..._file`." if shape.is_secret(field.annotation) else ""
    return f"{field.description}{also}"


def _default(field: FieldInfo) -> str:
    return REQUIRED if field.is_required() else as_yaml(field.get_default(call_default_factory=True))


def as_yaml(value: Any) -> str:
    """A default as it is written in a configuration file, in one line."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case StrEnum():
            return value.value
        case Mapping():
            return "{" + ", ".join(f"{name}: {as_yaml(inside)}" for name, inside in value.items()) + "}"
        case frozenset():
            return as_yaml(tuple(sorted(value)))
        case tuple():
            return "[" + ", ".join(as_yaml(one) for one in value) + "]"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _code(text: str) -> str:
    return text if text == REQUIRED or not text else f"`{text}`"


def _first_lower(text: str) -> str:
    return text[:1].lower() + text[1:].removesuffix(".")
