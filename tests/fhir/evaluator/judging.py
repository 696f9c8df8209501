"""What the tables of criteria share."""

from typing import Any

from gateway.fhir.match import compile_criterion

PUBLIC = "https://gw.example/fhir"
UPSTREAM = "http://hapi.internal:8080/fhir"
BASES = (PUBLIC, UPSTREAM)


def matches(resource_type: str, criterion: str, **members: Any) -> bool:
    """Whether a resource with these members satisfies `name=value`; judged by its `elements` alone."""
    name, _, value = criterion.partition("=")
    compiled = compile_criterion(resource_type, name, None, value, BASES)
    resource = {"resourceType": resource_type, **members}
    whole = compiled.matches(resource)
    assert compiled.matches({name: resource[name] for name in compiled.elements if name in resource}) is whole
    return whole
