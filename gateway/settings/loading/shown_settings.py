"""The settings as JSON for those who run the gateway: of a secret remains that there is one."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from gateway.settings.model import Settings
from gateway.settings.section import Section

MASK = "***"
# How settings end that hold no secret themselves, but what a secret can be guessed by.
_HASHES = ("_hash",)


def shown_settings(settings: Settings) -> dict[str, Any]:
    """Every setting by its name, defaults too. Secrets and the hashes of secrets are masked."""
    return {name: _shown(getattr(settings, name), name) for name in type(settings).model_fields}


def _shown(value: Any, name: str = "") -> object:
    match value:
        case None:
            return None
        case SecretStr():
            return MASK
        case str() if name.endswith(_HASHES):
            return MASK
        case Section():
            return {member: _shown(getattr(value, member), member) for member in type(value).model_fields}
        case Mapping():
            return {str(member): _shown(item) for member, item in value.items()}
        case frozenset():
            return sorted(str(_shown(item)) for item in value)
        case list() | tuple():
            return [_shown(item) for item in value]
        case StrEnum():
            return value.value
        case bool() | int() | float() | str():
            return value
        case Path():
            return str(value)
        case _:
            return str(value)
