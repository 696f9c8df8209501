"""Problems of the configuration, each with the location of the value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from gateway.settings.section import SettingPath


@dataclass(frozen=True, slots=True, order=True)
class SourceLocation:
    """Where a value was given: a line of the file (1 for the first, 0 for the whole file), or a variable.

    Locations are ordered: the file from top to bottom, then the variables by name.
    """

    variable: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        if self.variable or not self.line:
            return self.variable or self.file
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem, printed as `gateway.yaml:12: upstream.pool.connections: must be at least 1`.

    `setting` is empty if the problem is about a file or a variable as a whole.
    """

    location: SourceLocation
    setting: str
    sentence: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.location), self.setting, self.sentence) if part)


@dataclass(slots=True)
class SettingsDocument:
    """The values given so far, the location of each, and the problems found so far.

    `secret_files` are the files from which secrets were read.
    """

    values: dict[str, object] = field(default_factory=dict)
    locations: dict[SettingPath, SourceLocation] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    secret_files: list[FilePath] = field(default_factory=list)

    def add_problem(self, path: SettingPath, sentence: str) -> None:
        """Add a problem of the setting at `path`."""
        self.problems.append(Problem(location_of(self.locations, path), dotted_path(path), sentence))


def location_of(locations: Mapping[SettingPath, SourceLocation], path: SettingPath) -> SourceLocation:
    """Where the value at `path` was given, or else the nearest group around it."""
    prefixes = (path[:length] for length in range(len(path), -1, -1))
    return next((locations[prefix] for prefix in prefixes if prefix in locations), SourceLocation())


def value_at(values: object, path: SettingPath) -> object:
    """The value at `path`; None if there is none."""
    for part in path:
        if isinstance(values, dict):
            values = values.get(part)
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):
            values = values[part]
        else:
            return None
    return values


def dotted_path(path: SettingPath) -> str:
    """A path in the notation of the documentation: `issuers[0].claims.scope`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
