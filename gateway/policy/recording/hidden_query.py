"""Queries as they are recorded: names, modifiers and targets as they were, stand-ins for values."""

from collections.abc import Collection
from dataclasses import replace

from gateway.fhir.request.export_parameters import ExportParameters, TypeFilter
from gateway.fhir.search.query import Query
from gateway.fhir.search.search_keys import ParameterDefinitions
from gateway.policy.recording.hidden_values import StandIns, hide_date
from gateway.scopes.resource_types import RESOURCE_TYPES

_INSTANT = "2000-01-01T00:00:00Z"
# A page that is shorter or longer than what is asked of the server where a search cannot be narrowed.
_SHORT_PAGE, _LONG_PAGE = 20, 100
_SHORT_PAGE_BELOW = 50


def hide_query(query: Query, types: Collection[str], stand_ins: StandIns, definitions: ParameterDefinitions) -> Query:
    """The query of a search over `types` (empty: all) with stand-ins. Names of elements are the client's words."""
    types = query.types or types or RESOURCE_TYPES
    count = query.count
    if count:
        count = _SHORT_PAGE if count < _SHORT_PAGE_BELOW else _LONG_PAGE
    return replace(
        query,
        criteria=tuple(stand_ins.criterion(criterion, types, definitions) for criterion in query.criteria),
        count=count,
        elements=("id",) if query.elements else (),
        since=None if query.since is None else _INSTANT,
        at=None if query.at is None else hide_date(query.at),
    )


def hide_export_parameters(
    parameters: ExportParameters, stand_ins: StandIns, definitions: ParameterDefinitions
) -> ExportParameters:
    """The parameters of an export with stand-ins. Of its patients the first one is enough."""
    return replace(
        parameters,
        since=None if parameters.since is None else _INSTANT,
        until=None if parameters.until is None else _INSTANT,
        type_filters=tuple(
            TypeFilter(one.resource_type, hide_query(one.query, (one.resource_type,), stand_ins, definitions))
            for one in parameters.type_filters
        ),
        elements=("id",) if parameters.elements else (),
        patients=tuple(replace(one, id=stand_ins.id(one.id)) for one in parameters.patients[:1]),
    )
