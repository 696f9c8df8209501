"""The criteria of a search that can be evaluated here, on the resources that the FHIR server returns."""

from gateway.fhir.matching.criterion import CompiledCriterion, UnsupportedCriterionError, compile_criterion
from gateway.fhir.search.query import SearchCriterion, SearchKey


def compile_search_criterion(
    criterion: SearchCriterion, resource_type: str, bases: tuple[str, ...]
) -> CompiledCriterion | None:
    """The criterion of a search of the type; None for a chain, and for what cannot be evaluated exactly."""
    key = criterion.key
    if not isinstance(key, SearchKey) or len(key.links) > 1:
        return None
    link = key.links[0]
    try:
        return compile_criterion(resource_type, link.name, link.modifier, criterion.value, bases)
    except UnsupportedCriterionError:
        return None
