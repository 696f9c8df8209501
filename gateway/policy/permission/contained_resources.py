"""The check of `contained`: a resource must not contain a record of another patient (leak_20)."""

from collections.abc import Mapping
from typing import Any

from gateway.fhir.reference import find_references
from gateway.fhir.resources.resource import iter_nested_resources
from gateway.policy.permission.membership import compartment_membership
from gateway.policy.permission.reach import CompartmentSet
from gateway.policy.permission.rules import Rules
from gateway.scopes.resource_types import RESOURCE_TYPES

_PATIENT_ELEMENTS = ("subject", "subjectReference", "patient")


def contains_no_foreign_resource(contained: Any, compartments: CompartmentSet, rules: Rules) -> bool:
    """Whether every contained resource may be shown to a token that reaches these compartments (leak_20).

    A contained resource is a part of its container, so it needs no scope of its own. The container is refused if a
    contained resource belongs to another patient, is a Patient that cannot be identified, or has no known type. For
    compartments of another type, such as Practitioner, only the type is checked.
    """
    if contained is None:
        return True
    if not isinstance(contained, list) or not all(isinstance(one, dict) and "resourceType" in one for one in contained):
        return False
    for nested in iter_nested_resources([contained]):
        nested_type = nested["resourceType"]
        if not isinstance(nested_type, str) or nested_type not in RESOURCE_TYPES:
            return False
        if compartments.compartment_type == "Patient" and _is_foreign(nested, nested_type, compartments, rules):
            return False
    return True


def _is_foreign(nested: Mapping[str, Any], nested_type: str, compartments: CompartmentSet, rules: Rules) -> bool:
    membership = compartment_membership(compartments.compartment_type, nested_type, rules)
    if membership is not None:
        owner_ids = membership.find_compartment_ids(nested)
    else:
        # Some types that are in no R4 compartment name the patient that they are about nevertheless.
        owner_ids = {
            reference.id
            for name in _PATIENT_ELEMENTS
            for reference in find_references(nested.get(name), rules.bases)
            if reference.resource_type == "Patient"
        }
    return bool(owner_ids) and compartments.ids.isdisjoint(owner_ids)
