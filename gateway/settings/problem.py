"""One thing that is wrong with the configuration, and where it stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.settings.section import Path


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a value was given: a line of the file (1 for the first, 0 for the whole file), or a variable.

    Places are ordered: the file from top to bottom, then the variables by name.
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
    """What is wrong, as `gateway.yaml:12: upstream.pool.connections: must be at least 1`.

    `setting` is empty where the problem is about a file or a variable as a whole.
    """

    place: Place
    setting: str
    sentence: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), self.setting, self.sentence) if part)


@dataclass(slots=True)
class Document:
    """What was given so far: plain values, where each was given, and what is wrong already."""

    values: dict[str, object] = field(default_factory=dict)
    places: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add_problem(self, path: Path, sentence: str) -> None:
        """Note what is wrong with the setting at `path`."""
        self.problems.append(Problem(place_of(self.places, path), dotted(path), sentence))


def place_of(places: Mapping[Path, Place], path: Path) -> Place:
    """Where the value at `path` was given, or else the nearest group around it."""
    known = (path[:length] for length in range(len(path), -1, -1))
    return next((places[one] for one in known if one in places), Place())


def value_at(values: object, path: Path) -> object:
    """The value at `path`; None where there is none."""
    for part in path:
        if isinstance(values, dict):
            values = values.get(part)
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):
            values = values[part]
        else:
            return None
    return values


def dotted(path: Path) -> str:
    """A path as people write it: `issuers[0].claims.scope`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
