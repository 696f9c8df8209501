"""The consent page: a row for each scope, which can be taken apart; and what was ticked, read back (BP-7, edge 99)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from gateway.oauth.client import Client
from gateway.oauth.granting import MAX_CONSTRAINTS, MAX_SCOPES, OFFLINE, agreed, can_be_remembered, weight
from gateway.scopes.algebra import intersect
from gateway.scopes.model import (
    ANY_TYPE,
    Constraint,
    Context,
    IdentityScope,
    LaunchScope,
    Letter,
    RefreshScope,
    ResourceScope,
    Scope,
)
from gateway.scopes.parse import ScopeError, parse_scope
from gateway.scopes.sentence import sentence
from gateway.scopes.unparse import unparse_scope
from gateway.storage.sessions import RowAnswer, Transaction
from gateway.web.html.views import ConsentView, Part, ScopeRow
from gateway.web.smart.shown import consent_shown, form_token
from gateway.web.smart.steps import Address

# The types that US Core asks for (clients-and-suites.md 4.6), in the words of people.
COMMON_TYPES = {
    "Patient": "Name, address and other personal details",
    "AllergyIntolerance": "Allergies and intolerances",
    "CarePlan": "Care plans",
    "CareTeam": "Care team",
    "Condition": "Problems and diagnoses",
    "Coverage": "Insurance",
    "Device": "Implants and devices",
    "DiagnosticReport": "Reports of laboratories and imaging",
    "DocumentReference": "Documents and notes",
    "Encounter": "Visits",
    "Goal": "Goals",
    "Immunization": "Vaccinations",
    "Location": "Places of care",
    "Medication": "Medicines",
    "MedicationDispense": "Medicines handed out",
    "MedicationRequest": "Prescriptions",
    "Observation": "Measurements and results",
    "Organization": "Organisations of care",
    "Practitioner": "Doctors, nurses and other staff",
    "PractitionerRole": "Roles of staff",
    "Procedure": "Operations and procedures",
    "Provenance": "Where records come from",
    "RelatedPerson": "Family and friends",
    "ServiceRequest": "Orders and referrals",
    "Specimen": "Samples",
}
_CONDITION = "http://terminology.hl7.org/CodeSystem/condition-category"
_OBSERVATION = "http://terminology.hl7.org/CodeSystem/observation-category"
_US_CORE_CONDITION = "http://hl7.org/fhir/us/core/CodeSystem/condition-category"
_US_CORE = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
# The categories that US Core lets a person choose between (clients-and-suites.md 4.7, G-e).
CATEGORIES = {
    "Condition": {
        f"{_CONDITION}|encounter-diagnosis": "Diagnoses of visits",
        f"{_CONDITION}|problem-list-item": "The list of problems",
        f"{_US_CORE_CONDITION}|health-concern": "Health concerns",
    },
    "Observation": {
        f"{_US_CORE}|clinical-test": "Clinical tests",
        f"{_OBSERVATION}|laboratory": "Laboratory results",
        f"{_OBSERVATION}|social-history": "Social history, such as smoking",
        f"{_US_CORE}|sdoh": "Living conditions",
        f"{_OBSERVATION}|survey": "Questionnaires",
        f"{_OBSERVATION}|vital-signs": "Vital signs",
    },
}
_USES = frozenset({"all", "some", "none"})
_WRITING = frozenset({Letter.CREATE, Letter.UPDATE, Letter.DELETE})


def consent_view(
    transaction: Transaction, client: Client, offered: tuple[Scope, ...], address: Address, problem: str
) -> ConsentView:
    """What the person is asked, with what they ticked before where the same was asked.

    `offered` are the scopes that `transaction.offered` has the texts of.
    """
    user = transaction.user
    assert user is not None
    before = {one.scope: one for one in transaction.answers}
    return ConsentView(
        action=address(transaction, "/consent"),
        csrf=form_token(transaction, consent_shown(transaction, client, transaction.offered)),
        app_name=client.name,
        app_purpose=client.purpose,
        app_logo=client.logo,
        user_name=user.name,
        patient_name=transaction.patient_name,
        patient_detail=transaction.patient_detail,
        rows=tuple(_as_before(row, before.get(row.scope)) for row in _rows(offered)),
        clinician=(user.fhir_user or "").startswith("Practitioner"),
        stays_until=sentence(OFFLINE) if OFFLINE in offered else "",
        problem=problem,
        remember=transaction.remember,
        own=user.patient is not None and user.patient == transaction.context.patient,
        may_remember=can_be_remembered(client, transaction.request.redirect_uri),
        another_patient=transaction.another_patient,
    )


def _rows(offered: tuple[Scope, ...]) -> Iterator[ScopeRow]:
    """One row for each scope, in the order of the request; launch and identity are told, not asked."""
    for index, scope in enumerate(offered):
        match scope:
            case ResourceScope():
                writes = bool(scope.letters & _WRITING) or scope.context is Context.USER
                yield ScopeRow(index, sentence(scope), unparse_scope(scope), tuple(_parts(scope)), sensitive=writes)
            case RefreshScope():
                yield ScopeRow(index, sentence(scope), unparse_scope(scope), sensitive=True)
            case LaunchScope() | IdentityScope():
                yield ScopeRow(index, sentence(scope), unparse_scope(scope), optional=False)
            case _:
                yield ScopeRow(index, sentence(scope), unparse_scope(scope))


def _parts(scope: ResourceScope) -> Iterator[Part]:
    """The narrower scopes that a person may choose in place of this one."""
    if scope.resource_type != ANY_TYPE:
        yield from _categories(scope)
        return
    for resource_type, label in COMMON_TYPES.items():
        one = intersect(scope, ResourceScope(scope.context, resource_type, scope.letters))
        if one is not None:
            yield Part(unparse_scope(one), label, tuple(_categories(one)))


def _categories(scope: ResourceScope) -> Iterator[Part]:
    if any(one.name == "category" for one in scope.constraints):
        return
    for value, label in CATEGORIES.get(scope.resource_type, {}).items():
        limited = replace(scope, constraints=(*scope.constraints, Constraint("category", None, value)), v1=False)
        yield Part(unparse_scope(limited), label)


def _as_before(row: ScopeRow, answer: RowAnswer | None) -> ScopeRow:
    if answer is None:
        return row
    return replace(row, use=answer.use, parts=_with_ticks(row.parts, frozenset(answer.parts)))


def _with_ticks(parts: tuple[Part, ...], ticked: frozenset[str]) -> tuple[Part, ...]:
    return tuple(replace(one, ticked=one.value in ticked, parts=_with_ticks(one.parts, ticked)) for one in parts)


def answers_given(offered: tuple[str, ...], fields: Iterable[tuple[str, str]]) -> tuple[RowAnswer, ...]:
    """What was ticked on the page of these scopes, row by row, as it is shown once more; it grants nothing."""
    uses, parts = _uses_and_parts(fields)
    return tuple(
        RowAnswer(scope, use, tuple(parts[f"part-{index}"]))
        for index, scope in enumerate(offered)
        if (use := uses.get(f"use-{index}", "")) in _USES
    )


def _uses_and_parts(fields: Iterable[tuple[str, str]]) -> tuple[dict[str, str], defaultdict[str, list[str]]]:
    """The last value of each field, and all its values."""
    uses, parts = dict[str, str](), defaultdict[str, list[str]](list)
    for name, value in fields:
        uses[name] = value
        parts[name].append(value)
    return uses, parts


def chosen_scopes(offered: tuple[Scope, ...], fields: Iterable[tuple[str, str]]) -> tuple[Scope, ...]:
    """What the person ticked, never more than was offered (edge case 45), nor more than a page has room for."""
    uses, parts = _uses_and_parts(fields)
    chosen: list[Scope] = []
    for index, scope in enumerate(offered):
        if isinstance(scope, LaunchScope | IdentityScope) or uses.get(f"use-{index}") == "all":
            chosen.append(scope)
        elif uses.get(f"use-{index}") == "some" and isinstance(scope, ResourceScope):
            chosen += _ticked(scope, parts[f"part-{index}"], room=MAX_SCOPES - weight(chosen))
    return agreed(offered, chosen)


def _ticked(scope: ResourceScope, values: list[str], room: int) -> Iterator[Scope]:
    """The parts of one row, as many as there is room for; what is no part of it is left out."""
    for value in values:
        try:
            part = parse_scope(value)
        except ScopeError:
            continue
        if isinstance(part, ResourceScope) and len(part.constraints) <= MAX_CONSTRAINTS:
            within = intersect(part, scope)
            if within is None:
                continue
            room -= weight([within])
            # One place is left for the `launch/patient` that they may imply.
            if room < 1:
                return
            yield within
