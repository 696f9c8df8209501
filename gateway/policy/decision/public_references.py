"""Absolute references under the gateway's public base, made relative for the FHIR server.

Clients take such references from responses of the gateway. The FHIR server does not know the public base; it would
read the reference as one to another server and find nothing (hapi.md).
"""

from collections.abc import Mapping
from dataclasses import replace

from gateway.fhir.reference import parse_reference
from gateway.fhir.search.query import Query, ReverseChain, SearchCriterion
from gateway.fhir.search_parameters import SearchParameter, SearchType, get_search_parameters


def relativize_references(query: Query, resource_type: str, public_base: str) -> Query:
    """The query with relative references. Only plain reference parameters are changed, not the ends of chains."""
    if not any(public_base in criterion.value for criterion in query.criteria):
        return query
    definitions = get_search_parameters(resource_type)
    return replace(
        query,
        criteria=tuple(_relativize_criterion(criterion, definitions, public_base) for criterion in query.criteria),
    )


def _relativize_criterion(
    criterion: SearchCriterion, definitions: Mapping[str, SearchParameter], public_base: str
) -> SearchCriterion:
    key = criterion.key
    if isinstance(key, ReverseChain) or len(key.links) > 1 or key.links[0].modifier == "identifier":
        return criterion
    definition = definitions.get(key.links[0].name)
    if definition is None or definition.type is not SearchType.REFERENCE:
        return criterion
    return SearchCriterion(key, ",".join(_relativize_value(value, public_base) for value in criterion.value.split(",")))


def _relativize_value(value: str, public_base: str) -> str:
    """The relative reference, or `value` if it is not a complete reference.

    In particular, the public base alone does not become an empty value, which would find everything (hapi.md B2).
    """
    if not value.startswith(f"{public_base}/"):
        return value
    reference = parse_reference(value, (public_base,))
    return value if reference is None else str(reference)
