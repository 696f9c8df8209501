"""Loads the settings: the file, then the environment, then secret files. Reports every problem at once."""

from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from types import NoneType
from typing import Any

from pydantic import ValidationError

from gateway.settings.loading import model_shape as shape
from gateway.settings.loading.configuration import Configuration, read_configuration
from gateway.settings.loading.environment import apply_environment
from gateway.settings.loading.problem import (
    Problem,
    SettingsDocument,
    SourceLocation,
    dotted_path,
    location_of,
    value_at,
)
from gateway.settings.loading.problem_sentences import PathProblem, describe_error
from gateway.settings.loading.secret_files import read_secret_files
from gateway.settings.loading.valid_parts import Rule, find_conflicts
from gateway.settings.loading.yaml_document import read_document
from gateway.settings.model import Settings

__all__ = ["Problem", "SettingsError", "SourceLocation", "load_configuration", "load_settings"]


class SettingsError(Exception):
    """The configuration is not valid. `problems` are in the order of the file, then those of variables."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def load_settings(path: FilePath | None, environ: Mapping[str, str], rules: Iterable[Rule] = ()) -> Settings:
    """The settings of the YAML file at `path` and of the variables that start with `SMART_GATEWAY__`.

    `rules` are further rules that the settings must keep. Raises `SettingsError`, with every problem. Its sentences
    never hold the value of a secret.
    """
    return load_configuration(path, environ, rules).settings


def load_configuration(path: FilePath | None, environ: Mapping[str, str], rules: Iterable[Rule] = ()) -> Configuration:
    """As `load_settings`, with the files that were read and the version."""
    document = read_document(path) if path is not None else SettingsDocument()
    document.locations.setdefault((), SourceLocation())
    if path is not None and not document.values and document.problems:
        # Without the file, every setting would be reported as missing.
        raise SettingsError(tuple(document.problems))
    apply_environment(document, environ, Settings)
    _remove_empty(document.values, Settings)
    read_secret_files(document, Settings)
    settings: Settings | None = None
    path_problems: list[PathProblem] = []
    try:
        settings = Settings.model_validate(document.values)
    except ValidationError as error:
        path_problems = [
            problem for detail in error.errors() for problem in describe_error(detail, document.values, Settings)
        ]
    # Pydantic looks for conflicts only in sections whose settings are all valid.
    path_problems += find_conflicts(document.values if settings is None else settings, rules)
    problems = _ordered_problems(document, path_problems)
    if problems or settings is None:
        raise SettingsError(problems)
    return read_configuration(settings, [*([] if path is None else [path]), *document.secret_files])


def _remove_empty(values: object, annotation: Any) -> None:
    """Drop settings without a value, such as a group whose settings are all commented out.

    A null stays where it is a valid value: `metrics.port: null`.
    """
    if isinstance(values, list):
        for item in values:
            _remove_empty(item, shape.item_type(annotation))
    elif isinstance(values, dict):
        for name, field in shape.fields(annotation).items():
            if name not in values:
                continue
            if values[name] is None and NoneType not in shape.union_members(field.annotation):
                del values[name]
            else:
                _remove_empty(values[name], field.annotation)


def _ordered_problems(document: SettingsDocument, path_problems: list[PathProblem]) -> tuple[Problem, ...]:
    """All problems, each once. A value that could not be read is not reported as missing as well."""
    problems = list(document.problems)
    unread = {problem.setting for problem in problems}
    unread |= {setting.removesuffix(shape.SECRET_FILE) for setting in unread}
    for path, sentence in path_problems:
        if dotted_path(path) not in unread or value_at(document.values, path) is not None:
            problems.append(Problem(location_of(document.locations, path), dotted_path(path), sentence))
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.location))
