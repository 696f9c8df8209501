"""What a site writes: a rule in a package of its own, under the entry point group `smart_fhir_gateway.rules`.

The entry point leads to a module or an object with `elements` and `permits`. This is the interface that stays.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class RuleAccess:
    """What a rule learns of the token. `user` is the fhirUser as `Type/id`, `patient` an id, `scope` the whole text."""

    issuer: str
    client_id: str
    subject: str | None
    user: str | None
    patient: str | None
    scope: str
    roles: frozenset[str]
    purposes_of_use: frozenset[str]


class SiteRule(Protocol):
    """A rule of a site."""

    @property
    def elements(self) -> Collection[str]:
        """The top-level elements of a resource that `permits` reads, by their names in JSON; none but these it gets."""

    def permits(self, access: RuleAccess, resource: Mapping[str, Any], letter: str) -> bool:
        """Whether the token may use the resource: `r`, `s`, `c`, `u` or `d`. A pure function of its arguments.

        For an update it is asked about the stored state and the new one. True leaves the decision to the scopes;
        anything else, an exception and too long a time deny.
        """
