"""Compiles and evaluates a criterion, for the tables of the tests."""

from typing import Any

from gateway.fhir.matching.criterion import compile_criterion

PUBLIC = "https://gw.example/fhir"
UPSTREAM = "http://hapi.internal:8080/fhir"
BASES = (PUBLIC, UPSTREAM)


def matches(resource_type: str, criterion: str, **members: Any) -> bool:
    """Whether a resource with these members matches `name=value`, with all members and with `elements` alone."""
    name, _, value = criterion.partition("=")
    compiled = compile_criterion(resource_type, name, None, value, BASES)
    resource = {"resourceType": resource_type, **members}
    is_match = compiled.matches(resource)
    assert compiled.matches({name: resource[name] for name in compiled.elements if name in resource}) is is_match
    return is_match
