"""What a unit permits to be written: stricter than what it permits to be read (enforcement.md 4)."""

from collections.abc import Mapping
from typing import Any

from gateway.policy.permission.reach import Everything
from gateway.policy.permission.unit import CompartmentExtent, FhirUserExtent, SharedTypeExtent, Unit, VouchedExtent

_LABELS = {"_security": "security", "_tag": "tag"}


def may_change(unit: Unit, resource: Mapping[str, Any]) -> bool:
    """Whether the unit permits to change a resource that is stored like this, or to store it like this.

    A shared type belongs to nobody, so that only the whole server's reach changes it. What belongs to a patient of the
    compartments and to another one as well can be read, but not changed.
    """
    match unit.extent:
        case Everything():
            return unit.permits(resource)
        case CompartmentExtent():
            return unit.permits(resource) and not _names_another_owner(unit.extent, resource)
        case VouchedExtent():
            # Whose it is, its securityContext says (binary_owner.py). It cannot contain resources.
            return "contained" not in resource and unit.obeys_rules(resource)
        case SharedTypeExtent() | FhirUserExtent():
            return False


def may_create(unit: Unit, resource: Mapping[str, Any]) -> bool:
    """Whether the unit permits a new resource."""
    return may_change(unit, resource) and may_be_made(unit, resource)


def may_be_made(unit: Unit, resource: Mapping[str, Any]) -> bool:
    """Whether a unit that permits to change the resource permits it as a new one.

    The owner of a compartment is never made by its own token.
    """
    if isinstance(unit.extent, CompartmentExtent):
        owner_type = unit.extent.compartments.compartment_type
        if resource.get("resourceType") == owner_type:
            return False
    return _has_only_permitted_labels(unit, resource)


def is_lasting(unit: Unit, resource_type: str) -> bool:
    """Whether the unit permits a resource in whatever state: nothing that happens after the check changes that."""
    if unit.covers_whole_type:
        return True
    is_owner = isinstance(unit.extent, CompartmentExtent) and unit.extent.compartments.compartment_type == resource_type
    return is_owner and not unit.criteria and not unit.record_rules


def limiting_labels(unit: Unit) -> frozenset[str]:
    """The elements of `meta` with labels by which the unit is limited."""
    if not unit.criteria:
        return frozenset()
    names = {criterion.parameter.name for criterion in unit.criteria}
    return frozenset(element for name, element in _LABELS.items() if name in names)


def keeps_labels(unit: Unit, stored: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether labels by which the unit is limited are the same before and after: others may be limited by them, too."""
    return all(_read_labels(stored, element) == _read_labels(new, element) for element in limiting_labels(unit))


def _names_another_owner(extent: CompartmentExtent, resource: Mapping[str, Any]) -> bool:
    """Whether any parameter of the compartment names somebody outside, also where `subject` alone makes members."""
    compartments = extent.compartments
    if compartments.compartment_type != "Patient":
        return False
    return not extent.owners.find_compartment_ids(resource) <= compartments.ids


def _has_only_permitted_labels(unit: Unit, resource: Mapping[str, Any]) -> bool:
    """Whether each label of a new resource would satisfy by itself what the unit is limited to."""
    for criterion in unit.criteria:
        element = _LABELS.get(criterion.parameter.name)
        if element is None:
            continue
        labels = _list_labels(resource, element)
        if not all(criterion.matches({**resource, "meta": {element: [label]}}) for label in labels):
            return False
    return True


def _list_labels(resource: Mapping[str, Any], element: str) -> list[Any]:
    meta = resource.get("meta")
    labels = meta.get(element) if isinstance(meta, dict) else None
    return labels if isinstance(labels, list) else []


def _read_labels(resource: Mapping[str, Any], element: str) -> set[tuple[str, str]]:
    return {
        (str(label.get("system")), str(label.get("code"))) if isinstance(label, dict) else ("", repr(label))
        for label in _list_labels(resource, element)
    }
