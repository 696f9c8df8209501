"""The base class of all sections: frozen, without unknown keys, and checked for conflicts between its settings."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

SettingPath = tuple[str | int, ...]
CONFLICTS = "conflicts"
_RULE = "is_conflict_rule"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Settings that are valid separately but not together. `path` is relative to the section that reports it."""

    path: SettingPath
    sentence: str


_Method = TypeVar("_Method", bound=Callable[[Any], Iterator[Conflict]])


def conflict_rule(method: _Method) -> _Method:
    """Mark a method of a section that yields conflicts. Each rule stands for itself.

    Where a setting is not valid, it is missing from the section, and a rule that reads it is left out. So rules about
    different settings are different methods.
    """
    setattr(method, _RULE, True)
    return method


@cache
def _rule_names(section: type) -> tuple[str, ...]:
    return tuple(
        name for base in reversed(section.__mro__) for name, member in vars(base).items() if hasattr(member, _RULE)
    )


class Section(BaseModel):
    """A group of settings. Defaults are validated as well, so that any test finds one that is wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    def conflict_rules(self) -> Iterator[Callable[[], Iterator[Conflict]]]:
        """The rules of this section, in the order of the class."""
        for name in _rule_names(type(self)):
            yield getattr(self, name)

    def conflicts(self) -> Iterator[Conflict]:
        """The conflicts between settings of this section, each of which is valid."""
        for rule in self.conflict_rules():
            yield from rule()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """The section itself. It cannot change, and pydantic would copy every default."""
        return self

    @model_validator(mode="after")
    def _check_conflicts(self) -> Self:
        conflicts = tuple(self.conflicts())
        if conflicts:
            text = " ".join(f"{conflict.sentence}." for conflict in conflicts)
            raise PydanticCustomError("conflicts", "{text}", {"text": text, CONFLICTS: conflicts})
        return self
