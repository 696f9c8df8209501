"""Lock one and two for a bulk export: the kick-off that is sent, and what its files may hold (enforcement.md 4)."""

from dataclasses import replace

from gateway.fhir.reference import Reference
from gateway.fhir.request.export_parameters import ExportParameters, TypeFilter
from gateway.fhir.request.interaction import ExportKickoff, ExportLevel
from gateway.fhir.request.interaction_url import format_interaction_url
from gateway.fhir.resources.compartments import find_narrowing_parameter
from gateway.fhir.search.query import ChainLink, Query, SearchCriterion, SearchKey
from gateway.policy.decision.indirect_criteria import refuse_indirect_criteria
from gateway.policy.decision.missing_scope import deny_missing_scope
from gateway.policy.decision.narrow import narrow
from gateway.policy.decision.public_references import relativize_references
from gateway.policy.decision_types import Allow, Decision, Deny, ExportFilter, UpstreamRequest
from gateway.policy.permission.export_permission import export_permission, exportable_types, exports_everything
from gateway.policy.permission.grant import Grant
from gateway.policy.reasons import Reason
from gateway.scopes.model import Letter
from gateway.scopes.resource_types import RESOURCE_TYPES

_PROVENANCE = "Provenance"
_OF_SEVERAL_PATIENTS = frozenset({"Group", "List"})
_PATIENT_TYPES = (
    frozenset(name for name in RESOURCE_TYPES if find_narrowing_parameter("Patient", name) is not None)
    - _OF_SEVERAL_PATIENTS
)


def decide_export(kickoff: ExportKickoff, grant: Grant) -> Decision:
    """Decide on the kick-off of a bulk export. Its types are cut to those that may be exported."""
    if not grant.rules.exports.allow:
        return Deny(Reason.OPERATION_NOT_ALLOWED, offender="$export")
    asked = kickoff.parameters.types
    types, omitted = _select_types(kickoff, grant)
    if not types and not exports_everything(grant):
        required = f"system/{asked[0] if asked else '*'}.rs"
        return Deny(Reason.SCOPE_INSUFFICIENT, offender=asked[0] if asked else "$export", required_scope=required)
    refusal = _refuse_group(kickoff, grant) or _refuse_patients(kickoff, grant) or _refuse_filters(kickoff, grant)
    if refusal is not None:
        return refusal
    parameters, more_omitted = _narrow_parameters(kickoff.parameters, types, grant)
    path, _ = format_interaction_url(kickoff)
    group = Reference("Group", kickoff.group_id) if kickoff.group_id is not None else None
    if not grant.read_permission("Group"):
        # `group_needs_scope` is off: who asks for a Group without a scope for any need not be able to read it.
        group = None
    return Allow(
        UpstreamRequest(path, parameters.encode()),
        ExportFilter(grant, parameters, exports_everything(grant)),
        prerequisite=group,
        omitted_parameters=(*omitted, *more_omitted),
    )


def _select_types(kickoff: ExportKickoff, grant: Grant) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The types to ask for, and a note for each that is left out. None are named where nothing limits them.

    Of the patients and of a Group, servers export what R4 has in the patient compartment, without the types that name
    several patients (hapi.md B17). A client that wants others names them.
    """
    asked = kickoff.parameters.types
    if exports_everything(grant):
        return asked, ()
    if asked:
        types = tuple(name for name in asked if export_permission(grant, name))
        return types, tuple(f"_type={name}" for name in asked if name not in types)
    exportable = exportable_types(grant)
    if kickoff.level is not ExportLevel.SYSTEM:
        exportable = exportable & _PATIENT_TYPES or exportable
    return tuple(sorted(exportable)), ()


def _refuse_group(kickoff: ExportKickoff, grant: Grant) -> Deny | None:
    """The refusal of a Group that the token could not even read; its own check comes before anything is sent."""
    is_needed = kickoff.level is ExportLevel.GROUP and grant.rules.exports.group_needs_scope
    if is_needed and not grant.read_permission("Group"):
        return replace(deny_missing_scope(grant, "Group", Letter.READ), required_scope="system/Group.r")
    return None


def _refuse_patients(kickoff: ExportKickoff, grant: Grant) -> Deny | None:
    """The refusal of patients by whose ids a token could find out who exists."""
    if kickoff.parameters.patients and not export_permission(grant, "Patient").covers_whole_type:
        return Deny(Reason.PARAMETER_OUT_OF_REACH, offender="patient", required_scope="system/Patient.rs")
    return None


def _refuse_filters(kickoff: ExportKickoff, grant: Grant) -> Deny | None:
    """The refusal of the first `_typeFilter` that widens the export, or that a search of its type could not have."""
    asked = kickoff.parameters.types
    for type_filter in kickoff.parameters.type_filters:
        resource_type = type_filter.resource_type
        if not grant.rules.exports.type_filters:
            return Deny(Reason.PARAMETER_REFUSED, offender="_typeFilter")
        if asked and resource_type not in asked:
            return Deny(Reason.PARAMETER_INVALID, offender=f"_typeFilter={resource_type}")
        if not export_permission(grant, resource_type):
            continue
        if not exports_everything(grant):
            refusal = refuse_indirect_criteria(type_filter.query, resource_type, grant, None)
            if refusal is not None:
                return replace(refusal, offender=f"_typeFilter={resource_type}?{refusal.offender}")
    return None


def _narrow_parameters(
    parameters: ExportParameters, types: tuple[str, ...], grant: Grant
) -> tuple[ExportParameters, tuple[str, ...]]:
    """The parameters to send, and notes on what is left out of them.

    `_elements` is a hint. It is left out where a constraint looks at elements that it may leave out.
    """
    omitted: list[str] = []
    associated_data, elements = parameters.associated_data, parameters.elements
    if associated_data and not export_permission(grant, _PROVENANCE):
        omitted += [f"includeAssociatedData={value}" for value in associated_data]
        associated_data = ()
    if elements and not all(export_permission(grant, name).covers_whole_type for name in types):
        omitted.append("_elements")
        elements = ()
    type_filters: list[TypeFilter] = []
    for type_filter in parameters.type_filters:
        if export_permission(grant, type_filter.resource_type):
            type_filters.append(type_filter)
        else:
            omitted.append(f"_typeFilter={type_filter.resource_type}")
    return replace(
        parameters,
        types=types,
        type_filters=_narrow_filters(tuple(type_filters), types, grant),
        elements=elements,
        associated_data=associated_data,
    ), tuple(dict.fromkeys(omitted))


def _narrow_filters(
    type_filters: tuple[TypeFilter, ...], types: tuple[str, ...], grant: Grant
) -> tuple[TypeFilter, ...]:
    """The filters with the constraints of the token's scopes, and one for each constrained type that has none.

    Servers combine the filters of one type with OR, so that the constraints belong into every one of them.
    """
    if not grant.rules.exports.type_filters:
        return ()
    narrowed = [_narrow_filter(type_filter, grant) for type_filter in type_filters]
    for resource_type in types:
        criteria = _constraint_criteria(resource_type, grant)
        if criteria and all(type_filter.resource_type != resource_type for type_filter in type_filters):
            narrowed.append(TypeFilter(resource_type, Query(criteria)))
    return tuple(narrowed)


def _narrow_filter(type_filter: TypeFilter, grant: Grant) -> TypeFilter:
    resource_type = type_filter.resource_type
    query = relativize_references(type_filter.query, resource_type, grant.rules.public_base)
    criteria = (*_constraint_criteria(resource_type, grant), *query.criteria)
    return TypeFilter(resource_type, replace(query, criteria=criteria))


def _constraint_criteria(resource_type: str, grant: Grant) -> tuple[SearchCriterion, ...]:
    pairs = narrow(export_permission(grant, resource_type), grant.rules).pairs
    return tuple(SearchCriterion(SearchKey((ChainLink(name),)), value) for name, value in pairs)
