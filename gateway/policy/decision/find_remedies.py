"""Finds what would turn a refusal into a permission: scopes and settings are tried by deciding again with them."""

import re
from collections.abc import Iterator
from dataclasses import replace

from gateway.fhir.request.interaction import (
    CompartmentSearch,
    ExportKickoff,
    Interaction,
    Operation,
    SystemHistory,
    SystemSearch,
)
from gateway.policy.decision.decide import decide
from gateway.policy.decision.explain_operation import needed_letters
from gateway.policy.decision_types import Allow, AllowWrite, Deny
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.membership import owner_parameter
from gateway.policy.permission.operation_rule import find_operation_rule
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.policy.remedies import REMEDIES
from gateway.scopes.format_scopes import format_scope
from gateway.scopes.model import ANY_TYPE, Context, Letter, ResourceScope
from gateway.scopes.resource_types import RESOURCE_TYPES

_HELPED_BY_SCOPES = frozenset(
    {Reason.SCOPE_INSUFFICIENT, Reason.TYPE_OUT_OF_REACH, Reason.PARAMETER_OUT_OF_REACH, Reason.COUNT_NOT_EXACT}
)
_LETTERS = (
    frozenset({Letter.READ}),
    frozenset({Letter.SEARCH}),
    frozenset({Letter.READ, Letter.SEARCH}),
    *(frozenset({letter}) for letter in (Letter.CREATE, Letter.UPDATE, Letter.DELETE)),
    *(frozenset({letter, Letter.SEARCH}) for letter in (Letter.CREATE, Letter.UPDATE, Letter.DELETE)),
)


def find_remedies(interaction: Interaction, grant: Grant, deny: Deny) -> tuple[str, ...]:
    """At least one remedy for a refusal; what helps in general where nothing that was tried does."""
    found = [*_helping_scopes(interaction, grant, deny), *_helping_settings(interaction, grant)]
    return tuple(found) or (REMEDIES[deny.reason],)


def _helping_scopes(interaction: Interaction, grant: Grant, deny: Deny) -> Iterator[str]:
    """The narrowest scope of one of the token's contexts that permits the request."""
    if deny.reason not in _HELPED_BY_SCOPES:
        return
    # No user stands behind an export.
    contexts = [Context.SYSTEM] if isinstance(interaction, ExportKickoff) else _usable_contexts(grant)
    for context in contexts:
        for scope in _candidate_scopes(interaction, deny, context, grant.rules):
            access = replace(grant.access, scopes=(*grant.access.scopes, scope))
            if isinstance(decide(interaction, Grant(access, grant.rules, grant.facts)), Allow | AllowWrite):
                yield f"the scope {format_scope(scope)}"
                return


def _usable_contexts(grant: Grant) -> list[Context]:
    """The contexts of the token's scopes, then those that the token has a patient or a user for."""
    used = [scope.context for scope in grant.resource_scopes]
    if grant.access.patient is not None:
        used.append(Context.PATIENT)
    if grant.access.user is not None:
        used.append(Context.USER)
    return list(dict.fromkeys(used))


def _candidate_scopes(interaction: Interaction, deny: Deny, context: Context, rules: Rules) -> Iterator[ResourceScope]:
    types = [] if isinstance(interaction, ExportKickoff) else [getattr(interaction, "resource_type", ANY_TYPE)]
    types += [word for word in re.findall(r"\w+", deny.offender) if word in RESOURCE_TYPES]
    letter_sets = _LETTERS
    if isinstance(interaction, Operation):
        letter_sets = (frozenset(needed_letters(interaction, rules)),)
    for resource_type in dict.fromkeys([*types, ANY_TYPE]):
        for letters in letter_sets:
            yield ResourceScope(context, resource_type, letters)


def _helping_settings(interaction: Interaction, grant: Grant) -> Iterator[str]:
    for rules, remedy in _candidate_rules(interaction, grant.rules):
        if isinstance(decide(interaction, Grant(grant.access, rules, grant.facts)), Allow | AllowWrite):
            yield remedy


def _candidate_rules(interaction: Interaction, rules: Rules) -> Iterator[tuple[Rules, str]]:
    if isinstance(interaction, CompartmentSearch | SystemSearch | SystemHistory) and not rules.compartment_search:
        yield (
            replace(rules, compartment_search=True),
            "the setting upstream.compartment_search: true, if the FHIR server supports it",
        )
    if isinstance(interaction, Operation):
        rule = find_operation_rule(interaction, rules.operations)
        if rule is not None and not rule.is_enabled:
            switched_on = {**rules.operations, rule.address: replace(rule, is_enabled=True)}
            yield replace(rules, operations=switched_on), f"the setting operations: {rule.address}: {{enabled: true}}"
    if isinstance(interaction, ExportKickoff):
        for changed, remedy in (
            (replace(rules.exports, allow=True), "the setting bulk_export.allow: true"),
            (replace(rules.exports, type_filters=True), "the setting bulk_export.type_filters: true"),
            (replace(rules.exports, group_needs_scope=False), "the setting bulk_export.group_needs_scope: false"),
        ):
            if changed != rules.exports:
                yield replace(rules, exports=changed), remedy
    resource_type = getattr(interaction, "resource_type", None)
    if not isinstance(resource_type, str) or owner_parameter("Patient", resource_type, rules) is not None:
        return
    shared, searchable = rules.shared_types | {resource_type}, rules.searchable_shared_types | {resource_type}
    yield replace(rules, shared_types=shared), f"the setting compartments.shared_types with {resource_type}"
    yield (
        replace(rules, shared_types=shared, searchable_shared_types=searchable),
        f"the setting compartments.searchable_shared_types with {resource_type}",
    )
