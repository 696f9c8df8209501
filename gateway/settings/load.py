"""Loads the settings: a file, over it the environment, over both the secret files; every problem at once."""

from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from types import NoneType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gateway.settings import shape
from gateway.settings.document import read_document
from gateway.settings.environment import apply_environment
from gateway.settings.model import Settings, root_conflicts
from gateway.settings.problem import Document, Place, Problem, dotted, place_of, value_at
from gateway.settings.secret_files import read_secret_files
from gateway.settings.sentences import Said, sentences

__all__ = ["Place", "Problem", "SettingsError", "load_settings"]


class SettingsError(Exception):
    """The configuration cannot be used; `problems` are all that is wrong with it, the file's first, in its order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def load_settings(path: FilePath | None, environ: Mapping[str, str]) -> Settings:
    """The settings of the YAML file at `path` and of the variables that start with `SMART_GATEWAY__`.

    Raises `SettingsError`. Its sentences never hold the value of a secret.
    """
    document = read_document(path) if path is not None else Document()
    document.places.setdefault((), Place())
    if path is not None and not document.values and document.problems:
        # Of a file that cannot be read nothing else can be said: every setting would be called missing.
        raise SettingsError(tuple(document.problems))
    apply_environment(document, environ, Settings)
    _leave_out_empty(document.values, Settings)
    read_secret_files(document, Settings)
    settings: Settings | None = None
    said: list[Said] = []
    try:
        settings = Settings.model_validate(document.values)
    except ValidationError as error:
        said = [one for detail in error.errors() for one in sentences(detail, document.values, Settings)]
        said += _between_sections(document.values, {str(path[0]) for path, _ in said if path})
    problems = _ordered(document, said)
    if problems or settings is None:
        raise SettingsError(problems)
    return settings


def _leave_out_empty(values: object, annotation: Any) -> None:
    """Drop settings without a value, such as a group whose settings are all commented out.

    A null stays where it means something: `metrics.port: null`.
    """
    if isinstance(values, list):
        for one in values:
            _leave_out_empty(one, shape.item(annotation))
    elif isinstance(values, dict):
        for name, field in shape.fields(annotation).items():
            if name not in values:
                continue
            if values[name] is None and NoneType not in shape.alternatives(field.annotation):
                del values[name]
            else:
                _leave_out_empty(values[name], field.annotation)


def _between_sections(values: Mapping[str, object], wrong: set[str]) -> Iterator[Said]:
    """The conflicts between sections that are right by themselves, which pydantic does not come to ask."""
    right: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        if name in wrong:
            continue
        if name in values:
            right[name] = TypeAdapter(field.rebuild_annotation()).validate_python(values[name])
        elif not field.is_required():
            right[name] = field.get_default(call_default_factory=True)
    for conflict in root_conflicts(right):
        yield conflict.path, conflict.sentence


def _ordered(document: Document, said: list[Said]) -> tuple[Problem, ...]:
    """All problems, each once: a value that could not be read is not called missing as well."""
    problems = list(document.problems)
    unread = {problem.setting for problem in problems}
    unread |= {setting.removesuffix(shape.SECRET_FILE) for setting in unread}
    for path, sentence in said:
        if dotted(path) not in unread or value_at(document.values, path) is not None:
            problems.append(Problem(place_of(document.places, path), dotted(path), sentence))
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.place))
