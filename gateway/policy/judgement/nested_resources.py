"""The check of Bundles and Parameters: each resource inside must be visible by itself (leak_20)."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.fhir.resources.resource import Members, decode_member, iter_nested_resources
from gateway.policy.permission.grant import Grant


def has_only_visible_nested(members: Members, grant: Grant) -> bool:
    """Whether every resource in a Bundle or Parameters states its type and is permitted by a scope of its own.

    Raises `MalformedResourceError` if a member has more than one meaning.
    """
    container = {name: decode_member(raw) for name, raw in members.items()}
    if has_untyped_nested(container):
        return False
    for nested in iter_nested_resources(container):
        nested_type = nested["resourceType"]
        if not isinstance(nested_type, str) or not grant.read_or_search_permission(nested_type).permits(nested):
            return False
        if has_untyped_nested(nested):
            return False
    return True


def has_untyped_nested(container: Mapping[str, Any]) -> bool:
    """Whether a value that stands in the place of a resource is not an object with a `resourceType`."""
    match container.get("resourceType"):
        case "Bundle":
            entries = _list_objects(container.get("entry"))
            nested = [entry["resource"] for entry in entries if "resource" in entry]
            responses = [entry["response"] for entry in entries if isinstance(entry.get("response"), dict)]
            nested += [response["outcome"] for response in responses if "outcome" in response]
        case "Parameters":
            nested = list(_iter_parameter_resources(container.get("parameter")))
        case _:
            nested = []
    return any(not isinstance(resource, dict) or "resourceType" not in resource for resource in nested)


def _iter_parameter_resources(parameters: Any) -> Iterator[Any]:
    for parameter in _list_objects(parameters):
        if "resource" in parameter:
            yield parameter["resource"]
        yield from _iter_parameter_resources(parameter.get("part"))


def _list_objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
