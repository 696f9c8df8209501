"""Everything a token permits, compiled once and asked many times."""

from dataclasses import dataclass, field
from functools import cached_property

from gateway.fhir.reference import Reference
from gateway.policy.access import Access
from gateway.policy.permission import Permission, Shared, Single, Unit, Vouched, compile_unit, union
from gateway.policy.reach import Compartments, Everything, Facts, Nothing, Unknown, reach_of
from gateway.policy.reasons import Reason
from gateway.policy.rules import Rules
from gateway.scopes.model import ANY_TYPE, Context, IdentityScope, Letter, ResourceScope
from gateway.scopes.resource_types import RESOURCE_TYPES

_NO_FACTS = Facts()


@dataclass(frozen=True)
class Grant:
    """A token's access under an operator's rules.

    `permission` remembers what it compiled; that changes no answer, only its cost (performance.md rule 5).
    """

    access: Access
    rules: Rules
    facts: Facts = _NO_FACTS
    _permissions: dict[tuple[str, frozenset[Letter]], Permission] = field(default_factory=dict, compare=False)
    _found: dict[str, Permission] = field(default_factory=dict, compare=False)

    @cached_property
    def scopes(self) -> tuple[ResourceScope, ...]:
        """The resource scopes of the token."""
        return tuple(scope for scope in self.access.scopes if isinstance(scope, ResourceScope))

    @cached_property
    def reaches(self) -> dict[Context, Everything | Compartments | Nothing | Unknown]:
        """The reach of each context that the token's scopes use."""
        contexts = {scope.context for scope in self.scopes}
        return {context: reach_of(context, self.access, self.rules, self.facts) for context in contexts}

    @cached_property
    def missing_fact(self) -> Unknown | None:
        """The user whose compartments must be known before anything can be decided, if any."""
        return next((reach for reach in self.reaches.values() if isinstance(reach, Unknown)), None)

    @cached_property
    def own_resource(self) -> Reference | None:
        """The user's own resource, readable with `openid fhirUser` though no resource scope names it (ID-10)."""
        names = {scope.name for scope in self.access.scopes if isinstance(scope, IdentityScope)}
        return self.access.user if {"openid", "fhirUser"} <= names else None

    def permission(self, resource_type: str, *letters: Letter) -> Permission:
        """The units for `resource_type` that hold any of `letters`."""
        key = (resource_type, frozenset(letters))
        known = self._permissions.get(key)
        if known is None:
            known = self._permissions[key] = union(resource_type, tuple(self._units(*key)))
        return known

    def read(self, resource_type: str) -> Permission:
        """What may be read by id."""
        return self.permission(resource_type, Letter.READ)

    def search(self, resource_type: str) -> Permission:
        """What may be found by a search that names ids."""
        return self.permission(resource_type, Letter.SEARCH)

    def find(self, resource_type: str) -> Permission:
        """What may be found by any search: shared types are no open directory (enforcement.md 2)."""
        if resource_type in self.rules.searchable_shared_types:
            return self.search(resource_type)
        known = self._found.get(resource_type)
        if known is None:
            units = tuple(
                unit for unit in self.search(resource_type).units if not isinstance(unit.extent, Shared | Vouched)
            )
            known = self._found[resource_type] = union(resource_type, units)
        return known

    def visible(self, resource_type: str) -> Permission:
        """What the token could read or search by itself: the measure for what a search includes."""
        return self.permission(resource_type, Letter.READ, Letter.SEARCH)

    @cached_property
    def searchable_types(self) -> frozenset[str]:
        """The types of which at least some resources can be found by any search."""
        return frozenset(name for name in RESOURCE_TYPES if self.find(name))

    @cached_property
    def unlimited(self) -> bool:
        """Whether the token reads and searches every resource of every type, so that nothing needs to be judged."""
        held: set[Letter] = set()
        for scope in self.scopes:
            if scope.resource_type == ANY_TYPE and not scope.constraints:
                reach = self.reaches[scope.context]
                held |= scope.letters if isinstance(reach, Everything) else frozenset()
        return {Letter.READ, Letter.SEARCH} <= held

    def lack(self, resource_type: str, *letters: Letter) -> Reason:
        """Why `permission` has no unit: the most helpful of the reasons that apply."""
        named = [scope for scope in self.scopes if self._names(scope, resource_type, frozenset(letters))]
        for scope in named:
            reach = self.reaches[scope.context]
            if isinstance(reach, Nothing):
                return reach.reason
        return Reason.TYPE_OUT_OF_REACH if named else Reason.SCOPE_INSUFFICIENT

    def _units(self, resource_type: str, letters: frozenset[Letter]) -> list[Unit]:
        units = []
        for scope in self.scopes:
            reach = self.reaches[scope.context]
            if self._names(scope, resource_type, letters) and isinstance(reach, Everything | Compartments):
                unit = compile_unit(scope, resource_type, reach, self.rules)
                if unit is not None:
                    units.append(unit)
        own = self.own_resource
        if own is not None and own.resource_type == resource_type and Letter.READ in letters:
            units.append(Unit(Single(own)))
        return units

    @staticmethod
    def _names(scope: ResourceScope, resource_type: str, letters: frozenset[Letter]) -> bool:
        return scope.resource_type in {ANY_TYPE, resource_type} and not letters.isdisjoint(scope.letters)
