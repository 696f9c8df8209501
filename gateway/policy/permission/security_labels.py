"""Security labels: records whose `meta.security` says that they need more than a scope (R4, Security Labels)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.fhir.resources.resource import iter_nested_resources
from gateway.policy.permission.access import Access
from gateway.policy.permission.record_rule import BoundRule
from gateway.scopes.model import Letter

_ELEMENTS = frozenset({"meta", "contained"})


@dataclass(frozen=True, slots=True)
class SecurityLabelRule:
    """Records with one of `labels` are shown to, and changed by, only those who satisfy one of the other sets.

    A label is `system|code`, or a code alone, which counts in every system. `roles` and `purposes_of_use` are values of
    claims, `scopes` are words of the token's scope, and `user_types` are types of the fhirUser. Who satisfies them may
    take the label away, or add it, only with one of `changing_roles` or `changing_scopes` beside.
    """

    labels: frozenset[str]
    roles: frozenset[str] = frozenset()
    purposes_of_use: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    user_types: frozenset[str] = frozenset()
    changing_roles: frozenset[str] = frozenset()
    changing_scopes: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name of the setting."""
        return "security_labels"

    def bind(self, access: Access, letters: frozenset[Letter]) -> BoundRule | None:
        """The rule for a token that satisfies none of the sets."""
        if self._lifts(access):
            return None
        sentence = f"without the security labels {', '.join(sorted(self.labels))}"
        return BoundRule(self._permits, _ELEMENTS, sentence)

    def lets_change(self, access: Access) -> bool:
        """Whether the token may change the labels of a record that it may change."""
        return bool(self.changing_roles & access.roles or self.changing_scopes.intersection(access.scope_text.split()))

    def find_labels(self, resource: Mapping[str, Any]) -> frozenset[tuple[bool, str, str]]:
        """What tells the labels of the rule that a resource has from others, and whether it is what it contains."""
        own = ((False, label) for label in self._list_own(resource.get("meta")))
        inside = ((True, label) for one in _list_contained(resource) for label in self._list_own(one.get("meta")))
        return frozenset((is_inside, *_identify(label)) for is_inside, label in (*own, *inside))

    def list_labels(self, resource: Mapping[str, Any]) -> list[Any]:
        """The labels of the rule that a resource has, or what it contains."""
        metas = (resource.get("meta"), *(one.get("meta") for one in _list_contained(resource)))
        return [label for meta in metas for label in self._list_own(meta)]

    def _list_own(self, meta: Any) -> list[Any]:
        labels = meta.get("security", []) if isinstance(meta, dict) else []
        return [label for label in labels if self._names_label(label)] if isinstance(labels, list) else [labels]

    def _lifts(self, access: Access) -> bool:
        return bool(
            self.roles & access.roles
            or self.purposes_of_use & access.purposes_of_use
            or self.scopes.intersection(access.scope_text.split())
            or (access.user is not None and access.user.resource_type in self.user_types)
        )

    def _permits(self, resource: Mapping[str, Any]) -> bool:
        """Whether neither the resource nor one that it contains has such a label. What cannot be read has one."""
        contained = resource.get("contained", [])
        if not isinstance(contained, list) or not all(isinstance(one, dict) for one in contained):
            return False
        resources = (resource, *contained, *iter_nested_resources(contained))
        return not any("meta" in one and self._is_labelled(one["meta"]) for one in resources)

    def _is_labelled(self, meta: Any) -> bool:
        if not isinstance(meta, dict):
            return True
        labels = meta.get("security", [])
        return not isinstance(labels, list) or any(self._names_label(label) for label in labels)

    def _names_label(self, label: Any) -> bool:
        if not isinstance(label, dict) or not isinstance(label.get("code"), str):
            return True
        code, system = label["code"], label.get("system")
        if system is None:
            # It may be meant in any system.
            return any(known.rpartition("|")[2] == code for known in self.labels)
        return code in self.labels or f"{system}|{code}" in self.labels


def _list_contained(resource: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    contained = resource.get("contained", [])
    listed = contained if isinstance(contained, list) else [contained]
    untyped = [one for one in listed if isinstance(one, dict) and "resourceType" not in one]
    return [*untyped, *iter_nested_resources(listed)]


def _identify(label: Any) -> tuple[str, str]:
    if isinstance(label, dict) and isinstance(label.get("code"), str):
        return str(label.get("system")), label["code"]
    return "", repr(label)
