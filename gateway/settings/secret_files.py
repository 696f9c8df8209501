"""Reads secrets from the files that stand in for them: `password_file: /run/secrets/upstream` gives `password`."""

from pathlib import Path as FilePath
from typing import Any

from gateway.settings import shape
from gateway.settings.document import reading_problem
from gateway.settings.problem import Document
from gateway.settings.section import Path

_MAX_BYTES = 64 * 1024


def read_secret_files(document: Document, root: Any) -> None:
    """Replace every `x_file` of a secret `x` by what the file holds; giving both is a problem."""
    _walk(document, document.values, root, ())


def _walk(document: Document, values: object, annotation: Any, path: Path) -> None:
    if isinstance(values, list):
        for index, one in enumerate(values):
            _walk(document, one, shape.item(annotation), (*path, index))
    elif isinstance(values, dict):
        for name in list(values):
            secret = shape.secret_of(annotation, name)
            if secret is not None:
                _replace(document, values, path, name, secret)
            elif (field := shape.fields(annotation).get(name)) is not None:
                _walk(document, values[name], field.annotation, (*path, name))


def _replace(document: Document, values: dict[str, object], path: Path, name: str, secret: str) -> None:
    given = values.pop(name)
    if secret in values:
        document.add_problem((*path, name), f"is given beside {secret}; give one of them")
        return
    document.places[(*path, secret)] = document.places.get(
        (*path, name), document.places.get(path, document.places[()])
    )
    text = _read(document, given, (*path, name))
    # None keeps the secret from being called missing as well; the loader leaves out what is said twice.
    values[secret] = text


def _read(document: Document, given: object, path: Path) -> str | None:
    if not isinstance(given, str) or not given:
        document.add_problem(path, "must be the path of a file")
        return None
    try:
        with FilePath(given).open("rb") as file:
            text = file.read(_MAX_BYTES + 1).decode("utf-8")
    except (OSError, ValueError) as error:
        document.add_problem(path, f"cannot be read: {reading_problem(error)}")
        return None
    if len(text) > _MAX_BYTES:
        document.add_problem(path, f"is longer than {_MAX_BYTES} bytes")
        return None
    if not text.strip():
        document.add_problem(path, "names a file that is empty")
        return None
    return text.rstrip("\r\n")
