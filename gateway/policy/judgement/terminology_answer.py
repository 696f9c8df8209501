"""The answer of a terminology operation, held to its form: named values of simple types, and definitions as records.

What a server puts into a definition is its own word, as in a read of the definition. What stands beside it, in other
parameters or in other forms, has no place in such an answer and is left out.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.fhir.resources.resource import Members, decode_member, iter_nested_resources
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.operation_rule import TerminologyAnswer

_SIMPLE = frozenset(
    {"valueString", "valueCode", "valueUri", "valueUrl", "valueCanonical", "valueDate", "valueDateTime"}
)
_NUMBERS = frozenset({"valueInteger", "valueDecimal"})
_CODING = ("system", "version", "code", "display")
_MAX_DEPTH = 8


def is_permitted_definition(members: Members, grant: Grant) -> bool:
    """Whether a definition may be seen as a record of its type may. Raises `MalformedResourceError`."""
    resource = {name: decode_member(raw) for name, raw in members.items()}
    return grant.read_or_search_permission(str(resource.get("resourceType"))).permits(resource)


def keep_terminology_parameters(members: Members, answer: TerminologyAnswer, grant: Grant) -> bytes:
    """Parameters with those that the rule names, as far as their values are simple. Raises `MalformedResourceError`."""
    root = {name: decode_member(raw) for name, raw in members.items()}
    kept = list(_keep(root.get("parameter"), answer, grant, _MAX_DEPTH))
    return orjson.dumps({"resourceType": "Parameters", **({"parameter": kept} if kept else {})})


def _keep(parameters: Any, answer: TerminologyAnswer, grant: Grant, depth: int) -> Iterator[dict[str, Any]]:
    for parameter in parameters if isinstance(parameters, list) and depth else ():
        name = parameter.get("name") if isinstance(parameter, dict) else None
        if not isinstance(name, str) or name not in answer.parameters:
            continue
        kept: dict[str, Any] = {"name": name, **_keep_value(parameter), **_keep_definition(parameter, answer, grant)}
        parts = list(_keep(parameter.get("part"), answer, grant, depth - 1))
        if parts:
            kept["part"] = parts
        if len(kept) > 1:
            yield kept


def _keep_value(parameter: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in parameter.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if (name in _SIMPLE and isinstance(value, str)) or (name in _NUMBERS and is_number):
            return {name: value}
        if name == "valueBoolean" and isinstance(value, bool):
            return {name: value}
        if name == "valueCoding" and isinstance(value, dict):
            return {name: {part: value[part] for part in _CODING if isinstance(value.get(part), str)}}
    return {}


def _keep_definition(parameter: Mapping[str, Any], answer: TerminologyAnswer, grant: Grant) -> dict[str, Any]:
    resource = parameter.get("resource")
    if not isinstance(resource, dict) or resource.get("resourceType") not in answer.types:
        return {}
    others = {name: member for name, member in resource.items() if name != "contained"}
    if any(iter_nested_resources(others)):
        # As in a read, a resource beside `contained` would not be judged.
        return {}
    is_permitted = grant.read_or_search_permission(str(resource["resourceType"])).permits(resource)
    return {"resource": resource} if is_permitted else {}
