"""What the FHIR server's CapabilityStatement says of searches and of writes by criteria."""

from collections.abc import Iterator
from typing import Any

from gateway.fhir.search_parameters import COMMON_PARAMETERS, get_search_parameters
from gateway.scopes.resource_types import RESOURCE_TYPES


def find_undeclared_parameters(document: Any) -> dict[str, frozenset[str]]:
    """R4's search parameters that the statement does not declare, by type. A server may refuse or ignore them.

    To rely on them for narrowing would be leak_12. A type that the statement does not list declares none. A statement
    without any search parameter says nothing about them, so that nothing is undeclared. The common parameters of every
    type are left out, because many servers support them without declaring them.
    """
    declared, declared_for_all = _read_declared_parameters(document)
    if not declared_for_all and not any(declared.values()):
        return {}
    undeclared = {
        resource_type: frozenset(get_search_parameters(resource_type))
        - COMMON_PARAMETERS
        - declared_for_all
        - declared.get(resource_type, set())
        for resource_type in RESOURCE_TYPES
    }
    return {resource_type: missing for resource_type, missing in undeclared.items() if missing}


def find_conditional_deletes(document: Any) -> frozenset[str]:
    """The types for which the statement declares conditional deletes."""
    return frozenset(
        resource_type
        for resource in _list_resources(document)
        if resource.get("conditionalDelete") in ("single", "multiple")
        and isinstance(resource_type := resource.get("type"), str)
    )


def _list_resources(document: Any) -> Iterator[dict[str, Any]]:
    rest = document.get("rest") if isinstance(document, dict) else None
    for server in rest if isinstance(rest, list) else ():
        resources = server.get("resource") if isinstance(server, dict) and server.get("mode") != "client" else None
        yield from (
            resource for resource in (resources if isinstance(resources, list) else ()) if isinstance(resource, dict)
        )


def _read_declared_parameters(document: Any) -> tuple[dict[str, set[str]], set[str]]:
    """The names of the declared parameters by type, and those that `rest.searchParam` declares for every type."""
    rest = document.get("rest") if isinstance(document, dict) else None
    declared: dict[str, set[str]] = {}
    declared_for_all: set[str] = set()
    for server in rest if isinstance(rest, list) else ():
        if not isinstance(server, dict) or server.get("mode") == "client":
            continue
        declared_for_all |= _read_names(server.get("searchParam"))
        resources = server.get("resource")
        for resource in resources if isinstance(resources, list) else ():
            resource_type = resource.get("type") if isinstance(resource, dict) else None
            if isinstance(resource_type, str):
                declared.setdefault(resource_type, set()).update(_read_names(resource.get("searchParam")))
    return declared, declared_for_all


def _read_names(parameters: Any) -> set[str]:
    return {
        name
        for parameter in (parameters if isinstance(parameters, list) else ())
        if isinstance(parameter, dict) and isinstance(name := parameter.get("name"), str)
    }
