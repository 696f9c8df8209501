"""Whose data each scope context reaches, worked out once per token (enforcement.md 2)."""

from dataclasses import dataclass
from typing import assert_never

from gateway.fhir.reference import Reference
from gateway.policy.access import Access
from gateway.policy.reasons import Reason
from gateway.policy.rules import PractitionerReach, Rules
from gateway.scopes.model import Context


@dataclass(frozen=True, slots=True)
class Everything:
    """The whole server."""


@dataclass(frozen=True, slots=True)
class Compartments:
    """The compartments of these resources, all of one type."""

    compartment_type: str
    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Nothing:
    """No record at all; `reason` says what the token lacks."""

    reason: Reason


Reach = Everything | Compartments | Nothing


@dataclass(frozen=True, slots=True)
class Facts:
    """What had to be looked up: the compartments of a user whose reach the token alone does not tell."""

    user_compartments: Compartments | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A reach that needs a fact first: the compartments of `user`."""

    user: Reference


def reach_of(context: Context, access: Access, rules: Rules, facts: Facts) -> Reach | Unknown:
    """The reach of `context` for this token; `Unknown` where a fact must be fetched first."""
    match context:
        case Context.SYSTEM:
            return Everything()
        case Context.PATIENT:
            if access.patient is None:
                return Nothing(access.patient_problem or Reason.PATIENT_CONTEXT_MISSING)
            return Compartments("Patient", frozenset({access.patient}))
        case Context.USER:
            return _user_reach(access.user, rules, facts)
    assert_never(context)


def _user_reach(user: Reference | None, rules: Rules, facts: Facts) -> Reach | Unknown:
    if user is None:
        return Nothing(Reason.USER_REACH_UNKNOWN)
    match user.resource_type:
        case "Patient":
            return Compartments("Patient", frozenset({user.id}))
        case "RelatedPerson":
            return _looked_up(user, facts)
        case "Practitioner" | "PractitionerRole":
            return _practitioner_reach(user, rules, facts)
        case _:
            # Person: which of its links may be followed is not decided by SMART (ID-3); no link, no reach.
            return Nothing(Reason.USER_REACH_UNKNOWN)


def _practitioner_reach(user: Reference, rules: Rules, facts: Facts) -> Reach | Unknown:
    match rules.practitioner_reach:
        case PractitionerReach.ALL:
            return Everything()
        case PractitionerReach.COMPARTMENT:
            if user.resource_type == "Practitioner":
                return Compartments("Practitioner", frozenset({user.id}))
            return _looked_up(user, facts)
        case PractitionerReach.PANEL:
            return _looked_up(user, facts)
    assert_never(rules.practitioner_reach)


def _looked_up(user: Reference, facts: Facts) -> Reach | Unknown:
    """Compartments of nobody are no reach: a search narrowed to them by an empty value would be of everyone."""
    found = facts.user_compartments
    if found is None:
        return Unknown(user)
    return found if found.ids else Nothing(Reason.USER_REACH_UNKNOWN)
