"""The shape of the settings, from the annotations of their model: groups, lists, mappings, secrets and texts."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from gateway.settings.section import Section

SECRET_FILE = "_file"


def union_members(annotation: Any) -> Iterator[Any]:
    """The types that a value may have, without constraints."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from union_members(get_args(annotation)[0])
    elif origin in {Union, UnionType}:
        for member in get_args(annotation):
            yield from union_members(member)
    else:
        yield annotation


def sections(annotation: Any) -> list[type[Section]]:
    """The sections that a value may be; more than one if its `kind` decides."""
    return [member for member in union_members(annotation) if isinstance(member, type) and issubclass(member, Section)]


def fields(annotation: Any) -> dict[str, FieldInfo]:
    """The settings of a section by name; those of all kinds together if its `kind` decides."""
    by_name: dict[str, FieldInfo] = {}
    for section in sections(annotation):
        for name, field in section.model_fields.items():
            by_name.setdefault(name, field)
    return by_name


def item_type(annotation: Any) -> Any:
    """The type of a list's items; None if the value is not a list."""
    lists = [member for member in union_members(annotation) if get_origin(member) in {tuple, frozenset}]
    return get_args(lists[0])[0] if lists else None


def value_type(annotation: Any) -> Any:
    """The type of a mapping's values; None if the value is not a mapping."""
    mappings = [member for member in union_members(annotation) if get_origin(member) is Mapping]
    return get_args(mappings[0])[1] if mappings else None


def is_secret(annotation: Any) -> bool:
    """Whether a setting must not be printed, and may be given as the path of a file."""
    return SecretStr in union_members(annotation)


def is_text(annotation: Any) -> bool:
    """Whether a value is text, so that `8080` in a variable stays text."""
    return any(
        get_origin(member) is Literal
        or (isinstance(member, type) and issubclass(member, (str, SecretStr, Path, StrEnum)))
        for member in union_members(annotation)
    )


def secret_given_by_file(annotation: Any, name: str) -> str | None:
    """The secret that `name` gives by a file: `password` for `password_file` if the section has a secret `password`."""
    secret = name.removesuffix(SECRET_FILE)
    field = fields(annotation).get(secret)
    return secret if secret != name and field is not None and is_secret(field.annotation) else None


def only_literal(annotation: Any) -> str | None:
    """The first allowed value of a literal, such as a `kind`, which has only one."""
    return next((get_args(member)[0] for member in union_members(annotation) if get_origin(member) is Literal), None)
