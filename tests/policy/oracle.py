"""The oracle: what a token permits, written as simply as possible. It lists every resource and judges each.

It knows six resource types only, and does not use the gateway's evaluator, compartments or compiled permissions.
"""

from dataclasses import dataclass
from typing import Any

from gateway.scopes.model import Constraint, Context, Letter, ResourceScope

Resource = dict[str, Any]

SHARED = ("Practitioner", "Organization")
# Type to the elements whose reference to a patient puts a resource into that patient's compartment (R4).
PATIENT_ELEMENTS = {
    "Observation": ("subject", "performer"),
    "Condition": ("subject", "asserter"),
    "Encounter": ("subject",),
}
PRACTITIONER_ELEMENTS = {"Observation": ("performer",), "Condition": ("asserter",)}
TOKEN_ELEMENTS = {
    "Observation": ("category", "code", "status"),
    "Condition": ("category", "code"),
    "Encounter": ("status",),
}


@dataclass(frozen=True)
class OracleToken:
    """An access token, as far as the oracle needs it."""

    scopes: tuple[ResourceScope, ...]
    patient: str | None
    user: str | None
    practitioner_sees_all: bool


def permits(token: OracleToken, resource: Resource, letters: set[Letter], *, by_id: bool) -> bool:
    """Whether a scope with one of the letters permits the resource. `by_id` says that the request names its id."""
    return any(
        letters & scope.letters and _scope_permits(scope, token, resource, by_id=by_id) for scope in token.scopes
    )


def _scope_permits(scope: ResourceScope, token: OracleToken, resource: Resource, *, by_id: bool) -> bool:
    if scope.resource_type not in {"*", resource["resourceType"]}:
        return False
    if not all(_satisfies_constraint(resource, pair) for pair in scope.constraints):
        return False
    if scope.context is Context.SYSTEM:
        return True
    if scope.context is Context.PATIENT:
        return token.patient is not None and _in_chart(resource, token.patient, by_id=by_id)
    if token.user is None:
        return False
    kind, user_id = token.user.split("/")
    if kind == "Patient":
        return _in_chart(resource, user_id, by_id=by_id)
    return token.practitioner_sees_all or _in_practice(resource, user_id, by_id=by_id)


def _in_chart(resource: Resource, patient: str, *, by_id: bool) -> bool:
    if resource["resourceType"] in SHARED:
        return by_id
    if resource["resourceType"] == "Patient":
        return bool(resource["id"] == patient)
    return _refers(resource, PATIENT_ELEMENTS[resource["resourceType"]], f"Patient/{patient}")


def _in_practice(resource: Resource, practitioner: str, *, by_id: bool) -> bool:
    kind = resource["resourceType"]
    if kind == "Practitioner":
        return bool(resource["id"] == practitioner)
    if kind == "Organization":
        return by_id
    if kind == "Patient":
        return _refers(resource, ("generalPractitioner",), f"Practitioner/{practitioner}")
    if kind == "Encounter":
        return False
    return _refers(resource, PRACTITIONER_ELEMENTS[kind], f"Practitioner/{practitioner}")


def _refers(resource: Resource, elements: tuple[str, ...], reference: str) -> bool:
    for element in elements:
        value = resource.get(element, [])
        for element_value in value if isinstance(value, list) else [value]:
            if element_value.get("reference") == reference:
                return True
    return False


def _satisfies_constraint(resource: Resource, pair: Constraint) -> bool:
    """Whether the constraint holds. Commas mean OR; a parameter that the type does not define never holds."""
    if pair.name == "_id":
        return resource["id"] in pair.value.split(",")
    if pair.name not in TOKEN_ELEMENTS.get(resource["resourceType"], ()):
        return False
    return any(_has_token(resource.get(pair.name), wanted) for wanted in pair.value.split(","))


def _has_token(value: Any, wanted: str) -> bool:
    system, bar, code = wanted.rpartition("|")
    return any(code == has_code and (not bar or system == has_system) for has_system, has_code in _codes(value))


def _codes(value: Any) -> list[tuple[str, str]]:
    if value is None:
        return []
    if isinstance(value, str):
        return [("", value)]
    if isinstance(value, list):
        return [pair for concept in value for pair in _codes(concept)]
    return [(coding.get("system", ""), coding["code"]) for coding in value["coding"]]


def sees_everything(token: OracleToken) -> bool:
    """Whether the token may see every resource, so that nothing can leak to it."""
    letters: set[Letter] = set()
    for scope in token.scopes:
        by_user = scope.context is Context.USER and (token.user or "").startswith("Practitioner/")
        everywhere = scope.context is Context.SYSTEM or (by_user and token.practitioner_sees_all)
        if everywhere and scope.resource_type == "*" and not scope.constraints:
            letters |= scope.letters
    return {Letter.READ, Letter.SEARCH} <= letters
