"""From a request and its decision to what is recorded of them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.fhir.request import interaction as fhir
from gateway.fhir.request.interaction_name import interaction_name
from gateway.fhir.request.interaction_url import format_interaction_url
from gateway.fhir.search.query import Query, ReverseChain, encode_pairs
from gateway.fhir.search.search_keys import ParameterDefinitions
from gateway.fhir.search_parameters import find_aliases
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.membership import owner_parameter
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.policy.recording.hidden_operation import HiddenOperation
from gateway.policy.recording.hidden_query import hide_export_parameters, hide_query
from gateway.policy.recording.hidden_scopes import find_kept_values, hide_scopes, hide_words
from gateway.policy.recording.hidden_values import StandIns
from gateway.policy.recording.recorded_request import RecordedArgument, RecordedReach, RecordedRequest
from gateway.scopes.format_scopes import format_scopes

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WRITE_METHODS = {
    fhir.WriteKind.CREATE: "POST",
    fhir.WriteKind.UPDATE: "PUT",
    fhir.WriteKind.PATCH: "PATCH",
    fhir.WriteKind.DELETE: "DELETE",
}
_OWNER_TYPES = ("Patient", "Practitioner")
_MAX_CODES, _MAX_CODE_LENGTH = 20, 200


@dataclass(frozen=True, slots=True)
class Decided:
    """One request: by whom, and what was decided, as in `RecordedRequest`. `grant` has what was looked up."""

    method: str
    interaction: fhir.RecordedInteraction | None
    access: Access
    grant: Grant | None
    decision: Reason | None
    reason: Reason | None


class _HideQuery(Protocol):
    def __call__(self, query: Query, *types: str) -> Query: ...


@dataclass(frozen=True, slots=True)
class _Address:
    """Where a request goes."""

    path: str = ""
    query: str = ""
    if_none_exist: str = ""
    arguments: tuple[RecordedArgument, ...] = ()


def record_request(decided: Decided, definitions: ParameterDefinitions) -> RecordedRequest:
    """The shape of the request. `definitions` are those by which it was parsed."""
    access, grant = decided.access, decided.grant
    bases = () if grant is None else grant.rules.bases
    stand_ins = StandIns(bases, find_kept_values(access.scopes))
    # First, so that the patient is the same stand-in in every request.
    patient = None if access.patient is None else stand_ins.id(access.patient)
    user = None if access.user is None else f"{access.user.resource_type}/{stand_ins.id(access.user.id)}"
    scopes = tuple(hide_scopes(access.scopes, stand_ins, definitions))
    address = _Address() if grant is None else _hide_address(decided.interaction, stand_ins, definitions, grant.rules)
    resource_type = getattr(decided.interaction, "resource_type", None)
    rules = None if grant is None else grant.rules
    return RecordedRequest(
        interaction=interaction_name(decided.interaction),
        method=_method_of(decided),
        client_id=access.client_id,
        issuer=access.issuer,
        scope=format_scopes(scopes),
        path=address.path,
        query=address.query,
        if_none_exist=address.if_none_exist,
        arguments=address.arguments,
        patient=patient,
        patient_problem=access.patient_problem,
        user=user,
        has_subject=access.subject is not None,
        scope_words=tuple(hide_words(access, () if rules is None else rules.record_rules))[:_MAX_CODES],
        roles=_bound(access.roles),
        purposes_of_use=_bound(access.purposes_of_use),
        reach=None if grant is None else _record_reach(grant, stand_ins),
        undeclared={} if grant is None or not address.path else _find_undeclared(decided.interaction, grant),
        is_statement_known=rules is None or rules.has_capability_statement,
        deletes_conditionally=rules is not None and resource_type in rules.conditional_delete_types,
        decision=decided.decision,
        reason=decided.reason,
    )


def _method_of(decided: Decided) -> str:
    """The method by which the request is repeated: a search is one, whether it came as a form or not."""
    match decided.interaction:
        case fhir.Write(kind=kind):
            return _WRITE_METHODS[kind]
        case fhir.Operation(method=method):
            return method
        case None | fhir.ExportKickoff() | fhir.BatchOrTransaction() | fhir.AppStateRequest() | fhir.ExportCancel():
            return decided.method if decided.method in _METHODS else "other"
        case _:
            return "GET"


def _bound(codes: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(code for code in codes if len(code) <= _MAX_CODE_LENGTH))[:_MAX_CODES]


def _hide_address(
    interaction: fhir.RecordedInteraction | None, stand_ins: StandIns, definitions: ParameterDefinitions, rules: Rules
) -> _Address:
    """Path, query and body with stand-ins; nothing for what is decided by more than that."""

    def hide(query: Query, *types: str) -> Query:
        return hide_query(query, types, stand_ins, definitions)

    match interaction:
        case fhir.Read(resource_type, id_, query) | fhir.InstanceHistory(resource_type, id_, query):
            hidden: fhir.Interaction = replace(interaction, id=stand_ins.id(id_), query=hide(query, resource_type))
        case fhir.VRead(resource_type, id_, version_id, query):
            hidden_id, hidden_version = stand_ins.id(id_), stand_ins.id(version_id)
            hidden = fhir.VRead(resource_type, hidden_id, hidden_version, hide(query, resource_type))
        case fhir.TypeHistory(resource_type, query) | fhir.TypeSearch(resource_type, query):
            hidden = replace(interaction, query=hide(query, resource_type))
        case fhir.SystemHistory(query) | fhir.SystemSearch(query):
            hidden = replace(interaction, query=hide(query))
        case fhir.CompartmentSearch(_, compartment_id, resource_type, query):
            types = () if resource_type == fhir.ALL_TYPES else (resource_type,)
            hidden = replace(interaction, compartment_id=stand_ins.id(compartment_id), query=hide(query, *types))
        case fhir.Write():
            return _hide_write(interaction, hide, stand_ins)
        case fhir.Operation():
            return _hide_operation(interaction, rules, stand_ins)
        case fhir.ExportKickoff():
            return _hide_export(interaction, stand_ins, definitions)
        case _:
            return _Address()
    path, query_text = format_interaction_url(hidden)
    return _Address(path or "/", query_text)


def _hide_write(write: fhir.Write, hide: _HideQuery, stand_ins: StandIns) -> _Address:
    criteria = "" if write.criteria is None else hide(write.criteria, write.resource_type).encode()
    path = f"/{write.resource_type}" if write.id is None else f"/{write.resource_type}/{stand_ins.id(write.id)}"
    return _Address(path, if_none_exist=criteria) if write.kind is fhir.WriteKind.CREATE else _Address(path, criteria)


def _hide_operation(operation: fhir.Operation, rules: Rules, stand_ins: StandIns) -> _Address:
    hidden = HiddenOperation(operation, rules.operations, stand_ins)
    id_ = None if operation.id is None else stand_ins.id(operation.id)
    parts = (operation.resource_type, id_, f"${hidden.name}")
    path = "".join(f"/{part}" for part in parts if part is not None)
    return _Address(path, encode_pairs(hidden.pairs()), arguments=tuple(hidden.arguments()))


def _hide_export(kickoff: fhir.ExportKickoff, stand_ins: StandIns, definitions: ParameterDefinitions) -> _Address:
    group_id = None if kickoff.group_id is None else stand_ins.id(kickoff.group_id)
    parameters = hide_export_parameters(kickoff.parameters, stand_ins, definitions)
    path, query = format_interaction_url(replace(kickoff, group_id=group_id, parameters=parameters))
    patients = (RecordedArgument("patient", "valueReference", {"reference": str(one)}) for one in parameters.patients)
    return _Address(path, query, arguments=tuple(patients))


def _record_reach(grant: Grant, stand_ins: StandIns) -> RecordedReach | None:
    """What was looked up. The number of the others tells one from none and from several, and about how many."""
    compartments = grant.facts.user_compartments
    if compartments is None:
        return None
    named = tuple(stand_ins.ids[name] for name in sorted(compartments.ids & stand_ins.ids.keys()))
    others = len(compartments.ids) - len(named)
    about = others if others < 2 else max(2, 10 ** int(math.log10(others)))
    return RecordedReach(compartments.compartment_type, named, about)


def _find_undeclared(interaction: fhir.RecordedInteraction | None, grant: Grant) -> Mapping[str, Sequence[str]]:
    """The parameters by which the search could be narrowed or is made, and which the server does not declare."""
    unsupported, found = grant.rules.unsupported_parameters, {}
    for resource_type in _searched_types(interaction, grant) if unsupported else ():
        names = {*_names_of(interaction), *_constraint_names(grant), *_owner_names(resource_type, grant.rules)}
        undeclared = sorted(names & unsupported.get(resource_type, frozenset()))
        if undeclared:
            found[resource_type] = undeclared
    return found


def _searched_types(interaction: fhir.RecordedInteraction | None, grant: Grant) -> Iterator[str]:
    match interaction:
        case fhir.SystemSearch(query) | fhir.CompartmentSearch(resource_type=fhir.ALL_TYPES, query=query):
            yield from query.types or grant.searchable_types
        case fhir.TypeSearch(resource_type) | fhir.CompartmentSearch(resource_type=resource_type):
            yield resource_type
        case fhir.Write(resource_type=resource_type):
            yield resource_type
        case fhir.ExportKickoff(parameters=parameters):
            yield from (one.resource_type for one in parameters.type_filters)
        case _:
            return


def _names_of(interaction: fhir.RecordedInteraction | None) -> Iterator[str]:
    query = interaction.criteria if isinstance(interaction, fhir.Write) else getattr(interaction, "query", None)
    for criterion in query.criteria if isinstance(query, Query) else ():
        if not isinstance(criterion.key, ReverseChain):
            yield criterion.key.links[0].name


def _constraint_names(grant: Grant) -> Iterator[str]:
    for scope in grant.resource_scopes:
        yield from (constraint.name for constraint in scope.constraints)


def _owner_names(resource_type: str, rules: Rules) -> Iterator[str]:
    for owner_type in _OWNER_TYPES:
        name = owner_parameter(owner_type, resource_type, rules)
        if name is not None:
            yield from find_aliases(resource_type, name)
