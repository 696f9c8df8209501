"""The reach of each scope context of a token: whose data it covers (enforcement.md 2)."""

from dataclasses import dataclass
from typing import assert_never

from gateway.fhir.reference import Reference
from gateway.policy.permission.access import Access
from gateway.policy.permission.rules import PractitionerReach, Rules
from gateway.policy.reasons import Reason
from gateway.scopes.model import Context


@dataclass(frozen=True, slots=True)
class Everything:
    """Every resource of the FHIR server; as the extent of a unit, every resource of its type."""


@dataclass(frozen=True, slots=True)
class CompartmentSet:
    """The compartments of the resources with these ids, all of type `compartment_type`."""

    compartment_type: str
    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Nothing:
    """No resource at all. `reason` says what the token lacks."""

    reason: Reason


Reach = Everything | CompartmentSet | Nothing


@dataclass(frozen=True, slots=True)
class UserFacts:
    """What the gateway looked up about the user: their compartments, if the token alone does not determine them."""

    user_compartments: CompartmentSet | None = None


@dataclass(frozen=True, slots=True)
class UnresolvedReach:
    """A reach that is not known until the compartments of `user` have been looked up."""

    user: Reference


def resolve_reach(context: Context, access: Access, rules: Rules, facts: UserFacts) -> Reach | UnresolvedReach:
    """The reach of `context` for this token; `UnresolvedReach` if the user's compartments must be looked up first."""
    match context:
        case Context.SYSTEM:
            return Everything()
        case Context.PATIENT:
            if access.patient is None:
                return Nothing(access.patient_problem or Reason.PATIENT_CONTEXT_MISSING)
            return CompartmentSet("Patient", frozenset({access.patient}))
        case Context.USER:
            return _resolve_user_reach(access.user, rules, facts)
    assert_never(context)


def _resolve_user_reach(user: Reference | None, rules: Rules, facts: UserFacts) -> Reach | UnresolvedReach:
    if user is None:
        return Nothing(Reason.USER_REACH_UNKNOWN)
    match user.resource_type:
        case "Patient":
            return CompartmentSet("Patient", frozenset({user.id}))
        case "RelatedPerson":
            return _reach_from_facts(user, facts)
        case "Practitioner" | "PractitionerRole":
            return _resolve_practitioner_reach(user, rules, facts)
        case _:
            # SMART does not define which links of a Person may be followed, so none is (ID-3).
            return Nothing(Reason.USER_REACH_UNKNOWN)


def _resolve_practitioner_reach(user: Reference, rules: Rules, facts: UserFacts) -> Reach | UnresolvedReach:
    match rules.practitioner_reach:
        case PractitionerReach.ALL:
            return Everything()
        case PractitionerReach.COMPARTMENT:
            if user.resource_type == "Practitioner":
                return CompartmentSet("Practitioner", frozenset({user.id}))
            return _reach_from_facts(user, facts)
        case PractitionerReach.PANEL:
            return _reach_from_facts(user, facts)
    assert_never(rules.practitioner_reach)


def _reach_from_facts(user: Reference, facts: UserFacts) -> Reach | UnresolvedReach:
    """The compartments that were looked up. Without any, the reach is `Nothing`, because a search narrowed by an empty
    value would find everything.
    """
    compartments = facts.user_compartments
    if compartments is None:
        return UnresolvedReach(user)
    return compartments if compartments.ids else Nothing(Reason.USER_REACH_UNKNOWN)
