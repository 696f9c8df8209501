"""What every section of the settings is: frozen, closed to unknown keys, and able to say where its parts disagree."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

Path = tuple[str | int, ...]
CONFLICTS = "conflicts"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two settings that are right each by itself but not together. `path` is relative to the section that says so."""

    path: Path
    sentence: str


class Section(BaseModel):
    """A group of settings. Defaults are checked as well: one that is wrong is our mistake, found by any test."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    def conflicts(self) -> Iterator[Conflict]:
        """Where the settings of this section disagree; asked only when each of them is right by itself."""
        return iter(())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself: a value that cannot change needs no copy, and pydantic makes one of every default."""
        return self

    @model_validator(mode="after")
    def _agree(self) -> Self:
        found = tuple(self.conflicts())
        if found:
            text = " ".join(f"{one.sentence}." for one in found)
            raise PydanticCustomError("conflicts", "{text}", {"text": text, CONFLICTS: found})
        return self
