"""A configuration as it was read: its settings, the files that it is made of, and its version."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path as FilePath
from typing import Any, get_args

from pydantic import FilePath as ExistingFile
from pydantic import SecretStr

from gateway.settings.model import Settings
from gateway.settings.section import Section
from gateway.settings.serving.restart import needs_restart

_VERSION_LENGTH = 12
# Where one process of several listens, which makes no difference to what it answers.
_PLACES = frozenset({"listen.host", "listen.port", "metrics", "admin.host", "admin.port"})
# How the settings end that name a file with a private key, whose content is no part of the version.
_PRIVATE_FILE = "key_file"


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings as they were read.

    `version` is a short hash of everything but secrets and the address that is listened on: two gateways with the same
    version decide alike. Of a file, its content counts, and not where it is. `files` are all files that were read, and
    `contents` the digests of those that the settings name, by path.
    """

    settings: Settings
    version: str
    files: tuple[FilePath, ...]
    contents: Mapping[str, str]

    def is_same(self, other: "Configuration") -> bool:
        """Whether the other one has the same settings, secrets included, and the same content of files."""
        return self.settings == other.settings and self.contents == other.contents


def read_configuration(settings: Settings, files: Iterable[FilePath]) -> Configuration:
    """The configuration of these settings. `files` are those from which they were read."""
    named = dict(_named_files(settings))
    contents = {str(path): _digest(path) for path in named}
    public = {path: "key" if is_private else contents[str(path)] for path, is_private in named.items()}
    version = hashlib.sha256(_encode(_as_plain(settings, public)).encode()).hexdigest()[:_VERSION_LENGTH]
    return Configuration(settings, version, tuple(dict.fromkeys((*files, *named))), contents)


def _named_files(value: object, path: str = "") -> Iterator[tuple[FilePath, bool]]:
    """Every file that is read because a setting names it, and whether it holds a private key.

    Those of settings that need a restart are left out: what reads them looks after them itself.
    """
    if isinstance(value, Section):
        for name, field in type(value).model_fields.items():
            member, member_path = getattr(value, name), _join(path, name)
            if isinstance(member, FilePath):
                if _is_file(field.rebuild_annotation()) and not needs_restart(member_path):
                    yield member, name.endswith(_PRIVATE_FILE)
            else:
                yield from _named_files(member, member_path)
    elif isinstance(value, tuple):
        for item in value:
            yield from _named_files(item, path)


def _is_file(annotation: Any) -> bool:
    """Whether a setting is the path of a file that must exist, and not one to write to."""
    return annotation == ExistingFile or any(map(_is_file, get_args(annotation)))


def _digest(path: FilePath) -> str:
    """The digest of a file; empty if it cannot be read, which the rules of the start report."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _as_plain(value: Any, contents: Mapping[FilePath, str], path: str = "") -> object:
    """The value as JSON, the same in every process: sets are sorted, and of a secret remains that there is one."""

    def plain(member: Any, name: str) -> object:
        return _as_plain(member, contents, _join(path, name))

    match value:
        case Section():
            members = {name: getattr(value, name) for name in type(value).model_fields}
            return {name: plain(member, name) for name, member in members.items() if _join(path, name) not in _PLACES}
        case SecretStr():
            return "secret"
        case Mapping():
            return {str(name): plain(member, str(name)) for name, member in value.items()}
        case frozenset():
            return sorted(_encode(plain(item, "")) for item in value)
        case list() | tuple():
            return [plain(item, "") for item in value]
        case FilePath():
            return contents.get(value, str(value))
        case StrEnum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)


def _encode(value: object) -> str:
    """The value as JSON. orjson would refuse a number of more than 64 bits, which a setting may be."""
    return json.dumps(value, sort_keys=True)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
