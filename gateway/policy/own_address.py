"""References that a client writes under our public base, as it was shown them, made relative for the FHIR server.

The server knows nothing of our base: it would take such a reference for one to elsewhere and find nothing (hapi.md).
"""

from collections.abc import Mapping
from dataclasses import replace

from gateway.fhir.query import Filter, Has, Query
from gateway.fhir.reference import parse_reference
from gateway.fhir.search_parameters import SearchParameter, SearchType, parameters_of


def with_relative_references(query: Query, resource_type: str, public_base: str) -> Query:
    """The query for the server. Only plain reference parameters are looked at, not the ends of chains."""
    if not any(public_base in criterion.value for criterion in query.filters):
        return query
    definitions = parameters_of(resource_type)
    return replace(query, filters=tuple(_relative(one, definitions, public_base) for one in query.filters))


def _relative(criterion: Filter, definitions: Mapping[str, SearchParameter], public_base: str) -> Filter:
    key = criterion.key
    if isinstance(key, Has) or len(key.hops) > 1 or key.hops[0].modifier == "identifier":
        return criterion
    definition = definitions.get(key.hops[0].name)
    if definition is None or definition.type is not SearchType.REFERENCE:
        return criterion
    return Filter(key, ",".join(_without_base(value, public_base) for value in criterion.value.split(",")))


def _without_base(value: str, public_base: str) -> str:
    """A value that is no whole reference of ours stays as it is: an empty one would find everything (hapi.md B2)."""
    if not value.startswith(f"{public_base}/"):
        return value
    reference = parse_reference(value, (public_base,))
    return value if reference is None else str(reference)
