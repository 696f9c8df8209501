"""The grant: everything that one access token permits under the operator's rules."""

from dataclasses import dataclass, field, replace
from functools import cached_property

from gateway.fhir.reference import Reference
from gateway.policy.permission.access import Access
from gateway.policy.permission.permission import Permission, combine_units
from gateway.policy.permission.reach import (
    CompartmentSet,
    Everything,
    Nothing,
    UnresolvedReach,
    UserFacts,
    resolve_reach,
)
from gateway.policy.permission.record_rule import BoundRule
from gateway.policy.permission.rules import Rules
from gateway.policy.permission.unit import FhirUserExtent, SharedTypeExtent, Unit, VouchedExtent, compile_unit
from gateway.policy.reasons import Reason
from gateway.scopes.model import ANY_TYPE, Context, IdentityScope, Letter, ResourceScope
from gateway.scopes.resource_types import RESOURCE_TYPES

_NO_FACTS = UserFacts()


@dataclass(frozen=True)
class Grant:
    """The access of a token under the operator's rules.

    The permissions are compiled on first use and kept with the grant (performance.md rule 5).
    """

    access: Access
    rules: Rules
    facts: UserFacts = _NO_FACTS
    _permissions: dict[tuple[str, frozenset[Letter]], Permission] = field(default_factory=dict, compare=False)
    _search_permissions: dict[str, Permission] = field(default_factory=dict, compare=False)

    @cached_property
    def resource_scopes(self) -> tuple[ResourceScope, ...]:
        """The resource scopes of the token."""
        return tuple(scope for scope in self.access.scopes if isinstance(scope, ResourceScope))

    @cached_property
    def reaches(self) -> dict[Context, Everything | CompartmentSet | Nothing | UnresolvedReach]:
        """The reach of each context that the token's scopes use."""
        contexts = {scope.context for scope in self.resource_scopes}
        return {context: resolve_reach(context, self.access, self.rules, self.facts) for context in contexts}

    @cached_property
    def unresolved_reach(self) -> UnresolvedReach | None:
        """The reach that must be resolved before anything can be decided; None if all are known."""
        return next((reach for reach in self.reaches.values() if isinstance(reach, UnresolvedReach)), None)

    @cached_property
    def readable_fhir_user(self) -> Reference | None:
        """The user's own resource, if the scopes `openid fhirUser` permit reading it (ID-10)."""
        names = {scope.name for scope in self.access.scopes if isinstance(scope, IdentityScope)}
        return self.access.user if {"openid", "fhirUser"} <= names else None

    def permission_for(self, resource_type: str, *letters: Letter) -> Permission:
        """The permission for `resource_type` from all scopes that have any of `letters`."""
        key = (resource_type, frozenset(letters))
        permission = self._permissions.get(key)
        if permission is None:
            permission = self._permissions[key] = combine_units(resource_type, tuple(self._compile_units(*key)))
        return permission

    def read_permission(self, resource_type: str) -> Permission:
        """The permission to read resources by id."""
        return self.permission_for(resource_type, Letter.READ)

    def id_search_permission(self, resource_type: str) -> Permission:
        """The permission to search with `_id`, which includes the shared types."""
        return self.permission_for(resource_type, Letter.SEARCH)

    def search_permission(self, resource_type: str) -> Permission:
        """The permission to search without `_id`.

        It leaves out shared types, so that they are not an open directory (enforcement.md 2), and Binaries that need
        another resource to vouch for them.
        """
        if resource_type in self.rules.searchable_shared_types:
            return self.id_search_permission(resource_type)
        permission = self._search_permissions.get(resource_type)
        if permission is None:
            units = tuple(
                unit
                for unit in self.id_search_permission(resource_type).units
                if not isinstance(unit.extent, SharedTypeExtent | VouchedExtent)
            )
            permission = self._search_permissions[resource_type] = combine_units(resource_type, units)
        return permission

    def read_or_search_permission(self, resource_type: str) -> Permission:
        """The permission to read or to search, by which includes and nested resources are judged."""
        return self.permission_for(resource_type, Letter.READ, Letter.SEARCH)

    @cached_property
    def searchable_types(self) -> frozenset[str]:
        """The types that can be searched without `_id`."""
        return frozenset(name for name in RESOURCE_TYPES if self.search_permission(name))

    @cached_property
    def reads_everything(self) -> bool:
        """Whether the token may read and search every resource of every type, so that no response has to be judged.

        This is about the letters `r` and `s` only. It says nothing about create, update and delete, so that a write
        must never be allowed because of it.
        """
        letters: set[Letter] = set()
        for scope in self.resource_scopes:
            if scope.resource_type == ANY_TYPE and not scope.constraints:
                reach = self.reaches[scope.context]
                letters |= scope.letters if isinstance(reach, Everything) else frozenset()
        needed = frozenset({Letter.READ, Letter.SEARCH})
        return needed <= letters and not self.record_rules_for(needed)

    def record_rules_for(self, letters: frozenset[Letter]) -> tuple[BoundRule, ...]:
        """The record rules that limit this token in a use that any of `letters` permits."""
        bound = (rule.bind(self.access, letters) for rule in self.rules.record_rules)
        return tuple(rule for rule in bound if rule is not None)

    def refusal_reason(self, resource_type: str, *letters: Letter) -> Reason:
        """Why `permission_for` has no unit for these arguments: the most specific reason that applies."""
        applicable_scopes = [
            scope for scope in self.resource_scopes if self._applies(scope, resource_type, frozenset(letters))
        ]
        for scope in applicable_scopes:
            reach = self.reaches[scope.context]
            if isinstance(reach, Nothing):
                return reach.reason
        return Reason.TYPE_OUT_OF_REACH if applicable_scopes else Reason.SCOPE_INSUFFICIENT

    def _compile_units(self, resource_type: str, letters: frozenset[Letter]) -> list[Unit]:
        units = []
        for scope in self.resource_scopes:
            reach = self.reaches[scope.context]
            if self._applies(scope, resource_type, letters) and isinstance(reach, Everything | CompartmentSet):
                unit = compile_unit(scope, resource_type, reach, self.rules)
                if isinstance(unit, Unit):
                    units.append(self._limit(unit, letters & scope.letters))
        fhir_user = self.readable_fhir_user
        if fhir_user is not None and fhir_user.resource_type == resource_type and Letter.READ in letters:
            units.append(self._limit(Unit(FhirUserExtent(fhir_user)), frozenset({Letter.READ})))
        return units

    def _limit(self, unit: Unit, letters: frozenset[Letter]) -> Unit:
        return replace(unit, record_rules=self.record_rules_for(letters)) if self.rules.record_rules else unit

    @staticmethod
    def _applies(scope: ResourceScope, resource_type: str, letters: frozenset[Letter]) -> bool:
        return scope.resource_type in {ANY_TYPE, resource_type} and not letters.isdisjoint(scope.letters)
