"""The shape of the settings, read off their model: which path leads where, what is a secret, what is plain text."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from gateway.settings.section import Section

SECRET_FILE = "_file"


def alternatives(annotation: Any) -> Iterator[Any]:
    """The types that a value may have, without their constraints."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif origin in {Union, UnionType}:
        for one in get_args(annotation):
            yield from alternatives(one)
    else:
        yield annotation


def sections(annotation: Any) -> list[type[Section]]:
    """The sections that a value may be; more than one where its `kind` decides."""
    return [one for one in alternatives(annotation) if isinstance(one, type) and issubclass(one, Section)]


def fields(annotation: Any) -> dict[str, FieldInfo]:
    """The settings inside a section, by name; those of all kinds together where its `kind` decides."""
    found: dict[str, FieldInfo] = {}
    for section in sections(annotation):
        for name, field in section.model_fields.items():
            found.setdefault(name, field)
    return found


def item(annotation: Any) -> Any:
    """What a list holds; None for what is no list."""
    lists = [one for one in alternatives(annotation) if get_origin(one) in {tuple, frozenset}]
    return get_args(lists[0])[0] if lists else None


def value(annotation: Any) -> Any:
    """What a mapping holds under each of its keys; None for what is no mapping."""
    mappings = [one for one in alternatives(annotation) if get_origin(one) is Mapping]
    return get_args(mappings[0])[1] if mappings else None


def is_secret(annotation: Any) -> bool:
    """Whether a setting is never to be printed, and may be given as the path of a file."""
    return SecretStr in alternatives(annotation)


def is_text(annotation: Any) -> bool:
    """Whether a value is text as it stands, so that `8080` in a variable stays text."""
    return any(
        get_origin(one) is Literal or (isinstance(one, type) and issubclass(one, (str, SecretStr, Path, StrEnum)))
        for one in alternatives(annotation)
    )


def secret_of(annotation: Any, name: str) -> str | None:
    """The secret that `name` gives by a file: `password` for `password_file` in a section that has a password."""
    secret = name.removesuffix(SECRET_FILE)
    field = fields(annotation).get(secret)
    return secret if secret != name and field is not None and is_secret(field.annotation) else None


def literal(annotation: Any) -> str | None:
    """The only value of a setting that has but one, such as `kind`."""
    return next((get_args(one)[0] for one in alternatives(annotation) if get_origin(one) is Literal), None)
