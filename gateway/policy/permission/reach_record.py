"""Records by which the reach of users is found: what of them decides, so that nobody extends their own reach by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.fhir.matching.criterion import CompiledCriterion
from gateway.fhir.resources.records_in_force import is_withdrawn

# What decides beside the names, in every type.
ALWAYS_DECIDES = frozenset({"active", "status", "period"})
# The server sets them with every write.
_SERVER_META = frozenset({"versionId", "lastUpdated", "source"})
_SET_BY_SERVER = frozenset({"_lastUpdated", "_source"})


@dataclass(frozen=True, slots=True)
class ReachRecord:
    """Records of a type that name users of `user_types` and whom they reach.

    A record counts if it satisfies `criteria`, and its `elements` decide for whom and how long.
    """

    resource_type: str
    user_types: frozenset[str]
    elements: frozenset[str]
    criteria: tuple[CompiledCriterion, ...] = ()

    def counts(self, resource: Mapping[str, Any]) -> bool:
        """Whether the record may count for anybody, now or later."""
        known = (one for one in self.criteria if one.parameter.name not in _SET_BY_SERVER)
        return not is_withdrawn(resource) and all(criterion.matches(resource) for criterion in known)

    def decides_alike(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """Whether two states of a record count for the same users and patients, and as long."""
        if any(criterion.parameter.name in _SET_BY_SERVER for criterion in self.criteria):
            return False
        return all(_read(one, name) == _read(other, name) for name in self.elements)


# A relative's own record says for whom they stand, and how long.
RELATED_PERSON = ReachRecord(
    "RelatedPerson", frozenset({"RelatedPerson"}), ALWAYS_DECIDES | frozenset({"patient", "identifier"})
)


def _read(resource: Mapping[str, Any], name: str) -> Any:
    value = resource.get(name)
    if name == "meta" and isinstance(value, dict):
        return {part: inner for part, inner in value.items() if part not in _SERVER_META} or None
    return value
