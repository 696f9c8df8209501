"""The consent page, and reading back what the user chose on it (BP-7, edge case 99)."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from gateway.oauth.client.client import Client
from gateway.oauth.granted_scopes import MAX_CONSTRAINTS, can_remember_consent, count_scopes, limit_to_offer
from gateway.pages.views import ConsentSubject, ConsentView, ScopePart, ScopeRow
from gateway.scopes.algebra import intersect
from gateway.scopes.model import IdentityScope, LaunchScope, ResourceScope, Scope
from gateway.scopes.parse_scopes import ScopeError, parse_scope
from gateway.smart_server.authorize.consent_rows import group_scopes, scope_rows
from gateway.smart_server.authorize.consent_subject import NOTHING_BESIDE, OfferBeside, consent_subject
from gateway.smart_server.authorize.form_token import consent_snapshot, form_token
from gateway.smart_server.authorize.login_and_picker_pages import StepUrl, switch_user_url
from gateway.storage.transactions import ScopeChoice, Transaction

FormFields = tuple[tuple[str, str], ...]
"""The fields of a posted form in order; a name may repeat."""

_USES = frozenset({"all", "some", "none"})


def consent_view(
    transaction: Transaction,
    client: Client,
    offered: tuple[Scope, ...],
    step_url: StepUrl,
    problem: str,
    beside: OfferBeside = NOTHING_BESIDE,
) -> ConsentView:
    """The page that asks for consent to `offered`, with what the user ticked before for the same scopes."""
    subject = consent_subject(transaction, client, offered, beside)
    return ConsentView(
        subject=_with_earlier_choices(subject, transaction.answers),
        action=step_url(transaction, "/consent"),
        csrf=form_token(transaction, consent_snapshot(transaction, subject)),
        problem=problem,
        remember=transaction.remember,
        may_remember=can_remember_consent(client, transaction.request.redirect_uri),
        another_patient=transaction.can_change_patient,
        switch_user=switch_user_url(transaction, step_url),
        purpose=beside.choose_purpose(transaction.purpose_of_use),
    )


def _with_earlier_choices(subject: ConsentSubject, choices: tuple[ScopeChoice, ...]) -> ConsentSubject:
    choice_by_scope = {choice.scope: choice for choice in choices}
    rows = tuple(_with_choice(row, choice_by_scope.get(row.scope)) for row in subject.offer.rows)
    return replace(subject, offer=replace(subject.offer, rows=rows))


def _with_choice(row: ScopeRow, choice: ScopeChoice | None) -> ScopeRow:
    if choice is None:
        return row
    return replace(row, use=choice.use, parts=_with_ticks(row.parts, frozenset(choice.parts)))


def _with_ticks(parts: tuple[ScopePart, ...], ticked: frozenset[str]) -> tuple[ScopePart, ...]:
    return tuple(replace(part, ticked=part.value in ticked, parts=_with_ticks(part.parts, ticked)) for part in parts)


def read_choices(offered: tuple[Scope, ...], fields: FormFields) -> tuple[ScopeChoice, ...]:
    """What the user ticked in each row, to show it again. It grants nothing."""
    last_values, all_values = _index_fields(fields)
    return tuple(
        ScopeChoice(row.scope, use, tuple(all_values[f"part-{row.index}"]))
        for row in scope_rows(offered)
        if (use := last_values.get(f"use-{row.index}", "")) in _USES
    )


def has_empty_choice(offered: tuple[Scope, ...], fields: FormFields) -> bool:
    """Whether some row was answered with "Only some" while nothing in it was ticked."""
    return any(choice.use == "some" and not choice.parts for choice in read_choices(offered, fields))


def read_consent(offered: tuple[Scope, ...], fields: FormFields, max_scopes: int) -> tuple[Scope, ...]:
    """The scopes that the user agreed to, never more than was offered (edge case 45) or than a request may have."""
    last_values, all_values = _index_fields(fields)
    chosen: list[Scope] = []
    for index, scopes in enumerate(group_scopes(offered)):
        use, scope = last_values.get(f"use-{index}"), scopes[0]
        if isinstance(scope, LaunchScope | IdentityScope) or use == "all":
            chosen += scopes
        elif use == "some" and len(scopes) > 1:
            ticked = frozenset(all_values[f"part-{index}"])
            chosen += [member for number, member in enumerate(scopes) if str(number) in ticked]
        elif use == "some" and isinstance(scope, ResourceScope):
            chosen += _read_parts(scope, all_values[f"part-{index}"], room=max_scopes - count_scopes(chosen))
    return limit_to_offer(offered, chosen)


def _index_fields(fields: FormFields) -> tuple[dict[str, str], defaultdict[str, list[str]]]:
    """The last value of each field, and all its values."""
    last_values, all_values = dict[str, str](), defaultdict[str, list[str]](list)
    for name, value in fields:
        last_values[name] = value
        all_values[name].append(value)
    return last_values, all_values


def _read_parts(scope: ResourceScope, values: list[str], room: int) -> Iterator[Scope]:
    """The ticked parts of one row, as many as there is room for. Values that are not within the row are dropped."""
    for value in values:
        try:
            part = parse_scope(value)
        except ScopeError:
            continue
        if isinstance(part, ResourceScope) and len(part.constraints) <= MAX_CONSTRAINTS:
            part_in_row = intersect(part, scope)
            if part_in_row is None:
                continue
            room -= count_scopes([part_in_row])
            # One place is kept for the `launch/patient` that the parts may imply.
            if room < 1:
                return
            yield part_in_row
