"""Check of resource type names in requests."""

from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.scopes.resource_types import RESOURCE_TYPES

_TYPES_BY_LOWER_CASE = {name.lower(): name for name in RESOURCE_TYPES}


def check_resource_type(name: str) -> str:
    """Return `name` if it is a resource type of R4, in the same case. Raises `RequestError` (resource_type_unknown)."""
    if name not in RESOURCE_TYPES:
        suggestion = _TYPES_BY_LOWER_CASE.get(name.lower())
        raise RequestError(
            RequestProblem.RESOURCE_TYPE_UNKNOWN, name, f"Did you mean {suggestion}?" if suggestion else ""
        )
    return name
