"""Rules about records beside the scopes. A rule takes away from what scopes permit; it never adds to it.

A unit holds the rules that limit its token (unit.py), so that reading, searching, writing and exporting obey them, and
nothing that relies on a unit permitting a whole type is done under a rule.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.policy.permission.access import Access
from gateway.scopes.model import Letter


@dataclass(frozen=True, slots=True)
class BoundRule:
    """A rule for one token. `permits` gets the `elements` of a resource, and never raises.

    `sentence` says what it shows, for `explain`. What a rule that `may_fail` denies is not remembered.
    """

    permits: Callable[[Mapping[str, Any]], bool]
    elements: frozenset[str]
    sentence: str
    may_fail: bool = False


class RecordRule(Protocol):
    """A rule that an operator sets. `name` is what `explain` calls it."""

    @property
    def name(self) -> str:
        """A short name."""

    def bind(self, access: Access, letters: frozenset[Letter]) -> BoundRule | None:
        """The rule for this token and a use that any of `letters` permits; None if it does not limit the token."""
