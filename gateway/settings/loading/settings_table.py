"""The settings as a table for the documentation, generated from the model."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic.fields import FieldInfo

from gateway.settings.loading import model_shape as shape
from gateway.settings.model import Settings
from gateway.settings.section import Section
from gateway.settings.serving.restart import needs_restart

REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class SettingDescription:
    """One setting. `key` is its path, with `[]` for any item of a list; `default` is in YAML, or `required`."""

    key: str
    default: str
    meaning: str

    @property
    def change(self) -> str:
        """What brings a changed value into force: a reload, or a restart."""
        return "restart" if needs_restart(self.key) else "reload"


def settings_table() -> str:
    """Every setting with its default, its meaning and what a change needs, as a Markdown table."""
    rows = [
        f"| `{setting.key}` | {_code(setting.default)} | {setting.meaning} | {setting.change} |"
        for setting in describe_settings()
    ]
    return "\n".join(["| setting | default | meaning | change |", "|---|---|---|---|", *rows, ""])


def describe_settings() -> Iterator[SettingDescription]:
    """Every setting in the order of the model."""
    return _describe_section(Settings, "")


def _describe_section(section: type[Section], prefix: str) -> Iterator[SettingDescription]:
    for name, field in section.model_fields.items():
        yield from _describe_field(f"{prefix}{name}", field)


def _describe_field(key: str, field: FieldInfo) -> Iterator[SettingDescription]:
    kinds = shape.sections(field.annotation)
    item_sections = shape.sections(shape.item_type(field.annotation))
    if len(kinds) > 1:
        yield from _describe_kinds(key, kinds)
    elif kinds:
        if not field.is_required() and field.get_default() is None:
            yield SettingDescription(key, _default(field), _meaning(field))
        yield from _describe_section(kinds[0], f"{key}.")
    elif item_sections:
        yield SettingDescription(key, _default(field), _meaning(field))
        yield from _describe_section(item_sections[0], f"{key}[].")
    else:
        yield SettingDescription(key, _default(field), _meaning(field))


def _describe_kinds(key: str, kinds: list[type[Section]]) -> Iterator[SettingDescription]:
    words = {kind: str(shape.only_literal(kind.model_fields["kind"].annotation)) for kind in kinds}
    choices = "; ".join(f"`{word}`: {_first_lower(inspect.getdoc(kind) or '')}" for kind, word in words.items())
    yield SettingDescription(f"{key}.kind", next(iter(words.values())), f"{choices}.")
    for kind, word in words.items():
        for name, field in kind.model_fields.items():
            if name != "kind":
                yield SettingDescription(f"{key}.{name}", _default(field), f"{_meaning(field)} For the kind `{word}`.")


def _meaning(field: FieldInfo) -> str:
    also = " Or the path of a file that holds it, as `..._file`." if shape.is_secret(field.annotation) else ""
    return f"{field.description}{also}"


def _default(field: FieldInfo) -> str:
    return REQUIRED if field.is_required() else as_yaml(field.get_default(call_default_factory=True))


def as_yaml(value: Any) -> str:
    """A default as one line of YAML."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case StrEnum():
            return value.value
        case Mapping():
            return "{" + ", ".join(f"{name}: {as_yaml(member)}" for name, member in value.items()) + "}"
        case frozenset():
            return as_yaml(tuple(sorted(value)))
        case tuple():
            return "[" + ", ".join(as_yaml(item) for item in value) + "]"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _code(text: str) -> str:
    return text if text == REQUIRED or not text else f"`{text}`"


def _first_lower(text: str) -> str:
    return text[:1].lower() + text[1:].removesuffix(".")
