"""The explanation of a decision in plain lines, derived from the same `decide` as the proxy's (enforcement.md 6)."""

from collections.abc import Iterator
from typing import assert_never

from gateway.fhir.request.interaction import (
    BundleKind,
    ExportCancel,
    ExportFile,
    ExportStatus,
    Interaction,
    Operation,
    PagingLink,
    Write,
)
from gateway.fhir.request.interaction_name import interaction_name
from gateway.policy.decision.decide import decide
from gateway.policy.decision.decide_write import WRITE_LETTERS
from gateway.policy.decision.explain_operation import describe_operation_filter, needed_letters
from gateway.policy.decision.explain_write import explain_write
from gateway.policy.decision.explanation import Explanation, Line, Outcome, explain_refusal
from gateway.policy.decision.find_remedies import find_remedies
from gateway.policy.decision_types import (
    Allow,
    AllowBundle,
    AllowWrite,
    BinaryFilter,
    CapabilityStatementFilter,
    Deny,
    ExportFileFilter,
    ExportFilter,
    ExportJobFilter,
    HistoryFilter,
    MetaFilter,
    NeedUserCompartments,
    PassThrough,
    ResourceFilter,
    ResponseFilter,
    SearchFilter,
)
from gateway.policy.operation_filter import OperationFilter
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.operation_rule import JudgedAnswer
from gateway.policy.permission.permission import Permission
from gateway.policy.permission.reach import CompartmentSet, Everything, Nothing, UnresolvedReach
from gateway.policy.permission.unit import (
    CompartmentExtent,
    FhirUserExtent,
    NoUnit,
    SharedTypeExtent,
    Unit,
    VouchedExtent,
    compile_unit,
)
from gateway.policy.reasons import Reason
from gateway.policy.refusal_texts import REFUSAL_TEXTS
from gateway.scopes.format_scopes import format_scope
from gateway.scopes.model import Letter, ResourceScope


def explain(interaction: Interaction, grant: Grant) -> Explanation:
    """The explanation of the decision that the proxy makes on the request."""
    lines = (
        Line("Request", _describe_interaction(interaction)),
        *describe_access(grant),
        *describe_units(getattr(interaction, "resource_type", None), grant, _explained_letters(interaction, grant)),
    )
    if isinstance(interaction, PagingLink):
        text = "depends on the search or history that the link was made for; explain that instead"
        return Explanation((*lines, Line("Outcome", text)), Outcome.DEPENDS, Reason.PERMITTED)
    if isinstance(interaction, ExportStatus | ExportCancel | ExportFile):
        text = "depends on the export that the link belongs to; explain its kick-off instead"
        return Explanation((*lines, Line("Outcome", text)), Outcome.DEPENDS, Reason.PERMITTED)
    decision = decide(interaction, grant)
    match decision:
        case Deny(reason, offender):
            return explain_refusal(lines, reason, find_remedies(interaction, grant, decision), offender=offender)
        case NeedUserCompartments(reach):
            text = f"depends on {reach.user}, which the running gateway looks up first"
            return Explanation((*lines, Line("Outcome", text)), Outcome.DEPENDS, Reason.PERMITTED)
        case AllowWrite():
            return explain_write(lines, decision)
        case AllowBundle(kind, entries):
            each = (
                "has an outcome of its own" if kind is BundleKind.BATCH else "must be permitted, or none is carried out"
            )
            text = f"depends on its entries: each of {len(entries)} {each}"
            return Explanation((*lines, Line("Outcome", text)), Outcome.DEPENDS, Reason.PERMITTED)
        case Allow():
            return _explain_permission(lines, decision, grant)
    assert_never(decision)


def describe_access(grant: Grant) -> Iterator[Line]:
    """What the token says, and whose records its scopes reach."""
    yield Line("Client", grant.access.client_id)
    yield Line("Patient", grant.access.patient or "(none)")
    yield Line("User", str(grant.access.user or "(none)"))
    thumbprint = grant.access.certificate_thumbprint
    if thumbprint is not None:
        yield Line("Certificate", f"the token serves only with the certificate of x5t#S256 {thumbprint}; otherwise 401")
    for context, reach in sorted(grant.reaches.items()):
        yield Line("Reach", f"{context}/ scopes reach {_describe_reach(reach)}")
    for rule in grant.rules.record_rules:
        bound = rule.bind(grant.access, frozenset(Letter))
        yield Line("Rule", f"{rule.name}: {'not for this token' if bound is None else f'records {bound.sentence}'}")


def _describe_interaction(interaction: Interaction) -> str:
    fields = [getattr(interaction, name, None) for name in ("resource_type", "id", "compartment_id")]
    if isinstance(interaction, Operation):
        fields.append(f"${interaction.name}")
    return " ".join([interaction_name(interaction), *(str(field) for field in fields if field)])


def _describe_reach(reach: Everything | CompartmentSet | Nothing | UnresolvedReach) -> str:
    match reach:
        case Everything():
            return "every record of the server"
        case CompartmentSet(compartment_type, ids):
            return f"the compartment of {', '.join(f'{compartment_type}/{owner_id}' for owner_id in sorted(ids))}"
        case Nothing(reason):
            return f"nothing ({reason}: {REFUSAL_TEXTS[reason].sentence})"
        case UnresolvedReach(user):
            return f"what the running gateway looks up about {user} on the FHIR server"
    assert_never(reach)


def _explained_letters(interaction: Interaction, grant: Grant) -> tuple[Letter, ...]:
    if isinstance(interaction, Operation):
        return needed_letters(interaction, grant.rules)
    return explained_letters(interaction)


def explained_letters(interaction: Interaction | None) -> tuple[Letter, ...]:
    """The letters that matter for the interaction."""
    if isinstance(interaction, Write):
        letter = WRITE_LETTERS[interaction.kind]
        return (letter,) if interaction.criteria is None else (letter, Letter.SEARCH)
    return Letter.READ, Letter.SEARCH


def describe_units(
    resource_type: object, grant: Grant, letters: tuple[Letter, ...] = (Letter.READ, Letter.SEARCH)
) -> Iterator[Line]:
    """What each scope permits for the type, or why it permits nothing."""
    if not isinstance(resource_type, str) or resource_type == "*":
        return
    for scope in grant.resource_scopes:
        obstacle = _find_obstacle(scope, resource_type, grant, letters)
        if obstacle:
            yield Line("Scope", f"{format_scope(scope)}: {obstacle}")
    if grant.unresolved_reach is not None:
        return
    for letter in letters:
        units = grant.permission_for(resource_type, letter).units
        for unit in units:
            yield Line(f"Unit ({letter})", _describe_unit(unit, resource_type))
        if not units:
            reason = grant.refusal_reason(resource_type, letter)
            yield Line(f"Unit ({letter})", f"none for {resource_type}: {reason}")


def _find_obstacle(scope: ResourceScope, resource_type: str, grant: Grant, letters: tuple[Letter, ...]) -> str:
    """Why the scope grants nothing for the type; empty if it grants something, or if that is not known yet."""
    if scope.resource_type not in {"*", resource_type}:
        return f"is about {scope.resource_type}, not {resource_type}"
    if scope.letters.isdisjoint(letters):
        return f"grants nothing for this request, which needs {' or '.join(letters)}"
    reach = grant.reaches[scope.context]
    if isinstance(reach, Nothing):
        return f"grants nothing: {reach.reason}, {REFUSAL_TEXTS[reach.reason].sentence}"
    if isinstance(reach, UnresolvedReach):
        return ""
    unit = compile_unit(scope, resource_type, reach, grant.rules)
    return f"grants nothing: {unit.explanation}" if isinstance(unit, NoUnit) else ""


def _describe_unit(unit: Unit, resource_type: str) -> str:
    origin = format_scope(unit.scope) if unit.scope is not None else "openid fhirUser"
    return f"{origin}: {describe_limits(unit, resource_type)}"


def describe_limits(unit: Unit, resource_type: str) -> str:
    """What the unit permits: whose records, and what else they must be."""
    limits = [_describe_extent(unit, resource_type)]
    limits += [f"with {criterion.parameter.name} as the scope requires" for criterion in unit.criteria]
    limits += [rule.sentence for rule in unit.record_rules]
    return ", ".join(limits)


def _describe_extent(unit: Unit, resource_type: str) -> str:
    match unit.extent:
        case Everything():
            return f"every {resource_type}"
        case CompartmentExtent(compartments):
            return f"{resource_type} in {_describe_reach(compartments)}"
        case SharedTypeExtent():
            return f"any {resource_type} by its id (shared type, no open search)"
        case VouchedExtent():
            return f"a {resource_type} that a visible resource vouches for"
        case FhirUserExtent(reference):
            return f"the user's own resource {reference}"
    assert_never(unit.extent)


def _explain_permission(lines: tuple[Line, ...], allow: Allow, grant: Grant) -> Explanation:
    request, query = allow.upstream_request, allow.upstream_request.query
    described = [*lines]
    if allow.prerequisite is not None:
        described.append(Line("First", f"the current version of {allow.prerequisite} must be readable"))
    method = "POST" if request.body else "GET"
    described.append(Line("Sent", f"{method} {grant.rules.upstream_base}{request.path}{f'?{query}' if query else ''}"))
    described.append(Line("Verified", _describe_filter(allow.response_filter)))
    described += [Line("Left out", parameter) for parameter in allow.omitted_parameters]
    condition = _describe_condition(allow, grant)
    if condition:
        text = REFUSAL_TEXTS[Reason.OUT_OF_REACH]
        described.append(Line("Outcome", f"{text.status}, unless the record is {condition}; then 200"))
        return Explanation(tuple(described), Outcome.DEPENDS, Reason.PERMITTED)
    described.append(Line("Outcome", _describe_outcome(allow.response_filter)))
    return Explanation(tuple(described), Outcome.PERMITTED, Reason.PERMITTED)


def _describe_condition(allow: Allow, grant: Grant) -> str:
    """What a single record must be to be shown; empty for searches, and where every record of the type is shown."""
    match allow.response_filter:
        case ResourceFilter(permission=permission) | BinaryFilter(permission=permission):
            pass
        case HistoryFilter(instance=instance) if instance is not None and not grant.reads_everything:
            permission = grant.read_permission(instance.resource_type)
        case _:
            return ""
    if permission.covers_whole_type:
        return ""
    return " or ".join(describe_limits(unit, permission.resource_type) for unit in permission.units)


def _describe_outcome(response_filter: ResponseFilter) -> str:
    match response_filter:
        case SearchFilter() | HistoryFilter(instance=None) | OperationFilter(answer=JudgedAnswer()):
            return "permitted; resources that fail the verification do not leave the gateway"
        case CapabilityStatementFilter():
            return "permitted, without a token too"
        case ExportFilter():
            return "permitted, with the header 'Prefer: respond-async'"
        case _:
            return "permitted, if the record exists"


def _describe_filter(response_filter: ResponseFilter) -> str:
    match response_filter:
        case PassThrough():
            return "nothing: the token sees every record"
        case CapabilityStatementFilter():
            return "nothing: the CapabilityStatement is public"
        case BinaryFilter(permission=permission, reference=reference):
            versions = "; the same holds for the current version" if reference.version_id is not None else ""
            if permission.vouching_compartments and not permission.covers_whole_type:
                needs = "its security context, or a record that it is attached to, must be visible within reach"
                return needs + versions
            return "as FHIR JSON, it must be the requested Binary and within its unit" + versions
        case ResourceFilter(permission=permission):
            return f"the resource must be the requested one; looks at {_list_elements(permission)}"
        case SearchFilter(match_permission=permission, is_exact=is_exact):
            elements = f"; looks at {_list_elements(permission)}" if permission is not None else ""
            total = "total passed on" if is_exact else "no total, because the server may count hidden resources"
            return f"each match and each include by itself{elements}{_describe_conditions(response_filter)}; {total}"
        case HistoryFilter():
            return "each version by itself"
        case MetaFilter(resource_filter=resource_filter):
            return f"as a read, of which the meta is shown; looks at {_list_elements(resource_filter.permission)}"
        case OperationFilter():
            return describe_operation_filter(response_filter)
        case ExportFilter(passes_everything=True):
            return "nothing: the token exports every record"
        case ExportFilter() | ExportJobFilter() | ExportFileFilter():
            return "each line of each file by itself"
    assert_never(response_filter)


def _describe_conditions(search_filter: SearchFilter) -> str:
    """What every match must be beside permitted, each part after a semicolon."""
    conditions = ""
    if search_filter.named_ids is not None:
        conditions += f"; only ids {', '.join(sorted(search_filter.named_ids))}"
    if search_filter.compartment is not None:
        conditions += f"; only members of the compartment of {search_filter.compartment}"
    for criterion in search_filter.criteria:
        conditions += f"; {criterion.parameter.name} is evaluated here, because the server does not declare it"
    return conditions


def _list_elements(permission: Permission) -> str:
    return ", ".join(sorted(permission.elements))
