"""Reads secrets from files: `password_file: /run/secrets/upstream` gives `password`."""

from pathlib import Path as FilePath
from typing import Any

from gateway.settings.loading import model_shape as shape
from gateway.settings.loading.problem import SettingsDocument
from gateway.settings.loading.yaml_document import describe_read_error
from gateway.settings.section import SettingPath

_MAX_BYTES = 64 * 1024


def read_secret_files(document: SettingsDocument, root: Any) -> None:
    """Replace every `x_file` of a secret `x` by the content of the file. Giving both is a problem."""
    _read_below(document, document.values, root, ())


def _read_below(document: SettingsDocument, values: object, annotation: Any, path: SettingPath) -> None:
    if isinstance(values, list):
        for index, item in enumerate(values):
            _read_below(document, item, shape.item_type(annotation), (*path, index))
    elif isinstance(values, dict):
        for name in list(values):
            secret = shape.secret_given_by_file(annotation, name)
            if secret is not None:
                _replace_by_content(document, values, path, name, secret)
            elif (field := shape.fields(annotation).get(name)) is not None:
                _read_below(document, values[name], field.annotation, (*path, name))


def _replace_by_content(
    document: SettingsDocument, values: dict[str, object], path: SettingPath, name: str, secret: str
) -> None:
    file = values.pop(name)
    if secret in values:
        document.add_problem((*path, name), f"is given beside {secret}; give one of them")
        return
    document.locations[(*path, secret)] = document.locations.get(
        (*path, name), document.locations.get(path, document.locations[()])
    )
    # A file that cannot be read gives None, so that the secret is not reported as missing as well.
    values[secret] = _read_secret(document, file, (*path, name))


def _read_secret(document: SettingsDocument, file_name: object, path: SettingPath) -> str | None:
    if not isinstance(file_name, str) or not file_name:
        document.add_problem(path, "must be the path of a file")
        return None
    document.secret_files.append(FilePath(file_name))
    try:
        with FilePath(file_name).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        # Before decoding: the cut may lie inside of a character.
        if len(content) > _MAX_BYTES:
            document.add_problem(path, f"is longer than {_MAX_BYTES} bytes")
            return None
        text = content.decode("utf-8")
    except (OSError, ValueError) as error:
        document.add_problem(path, f"cannot be read: {describe_read_error(error)}")
        return None
    if not text.strip():
        document.add_problem(path, "names a file that is empty")
        return None
    return text.rstrip("\r\n")
