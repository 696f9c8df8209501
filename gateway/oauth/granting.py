"""What is granted: requested, and allowed to the client, and allowed to the user, and agreed to (checklist 3.2, SC-33).

Nothing here ever adds to what was requested, but for the `launch/patient` that patient/ scopes imply.
"""

from collections.abc import Iterable

from gateway.fhir.match import UnsupportedCriterionError, compile_criterion
from gateway.oauth.authorization import User
from gateway.oauth.client import Client
from gateway.oauth.launch_context import LaunchContext
from gateway.scopes.algebra import intersect_scopes, normalise
from gateway.scopes.model import (
    ANY_TYPE,
    Context,
    ExtensionScope,
    IdentityScope,
    LaunchScope,
    RefreshScope,
    ResourceScope,
    Scope,
)
from gateway.scopes.resource_types import RESOURCE_TYPES

# A person cannot agree to more, and putting scopes in order costs the square of their number. A scope with constraints
# counts as many as it has; with more than this of its own it is no sentence that anybody reads.
MAX_SCOPES = 300
MAX_CONSTRAINTS = 20
OPENID = IdentityScope("openid")
FHIR_USER = IdentityScope("fhirUser")
# The alias of SMART 1.0, which fhirclient for Python still asks for (SC-12).
PROFILE = IdentityScope("profile")
OFFLINE = RefreshScope("offline_access")
ONLINE = RefreshScope("online_access")
LAUNCH = LaunchScope()


def weight(scopes: Iterable[Scope]) -> int:
    """How many scopes they count as, against `MAX_SCOPES`."""
    return sum(max(1, len(one.constraints)) if isinstance(one, ResourceScope) else 1 for one in scopes)


def can_be_enforced(scope: ResourceScope) -> bool:
    """Whether every constraint of the scope can be judged here; else it is not granted at all (SC-23, edge 94).

    On a wildcard a constraint counts where at least one type can be judged by it: the others get no access (edge 96).
    """
    types = RESOURCE_TYPES if scope.resource_type == ANY_TYPE else (scope.resource_type,)
    return len(scope.constraints) <= MAX_CONSTRAINTS and any(_judges(scope, resource_type) for resource_type in types)


def _judges(scope: ResourceScope, resource_type: str) -> bool:
    try:
        for one in scope.constraints:
            if one.name != "_type":
                compile_criterion(resource_type, one.name, one.modifier, one.value)
    except UnsupportedCriterionError:
        return False
    return True


def grantable(requested: Iterable[Scope], client: Client, limits: Iterable[Scope]) -> tuple[Scope, ...]:
    """The most that can be agreed to. `limits` are the resource scopes that this user may grant.

    `system/` scopes speak of no user, so that none can grant them (SC-29).
    """
    asked = tuple(requested)
    resources = [one for one in asked if _may_be_granted(one)]
    within = intersect_scopes(resources, limits)
    others = [one for one in asked if not isinstance(one, ResourceScope) and _is_known(one, client)]
    both = (*others, *within)
    return both if client.scopes is None else _within_client(both, client.scopes)


def _may_be_granted(scope: Scope) -> bool:
    return isinstance(scope, ResourceScope) and scope.context is not Context.SYSTEM and can_be_enforced(scope)


def _is_known(scope: Scope, client: Client) -> bool:
    """Extensions mean something only to who registered them (edge case 93)."""
    return not isinstance(scope, ExtensionScope) or (client.scopes is not None and scope in client.scopes)


def _within_client(scopes: tuple[Scope, ...], allowed: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """Launch scopes name what the app is told, which follows from its records: they need no registration."""
    resources = [one for one in scopes if isinstance(one, ResourceScope)]
    others = [one for one in scopes if isinstance(one, LaunchScope) or one in allowed or one == PROFILE]
    kept = intersect_scopes(resources, [one for one in allowed if isinstance(one, ResourceScope)])
    return (*[one for one in others if not isinstance(one, ResourceScope)], *kept)


def agreed(offered: Iterable[Scope], chosen: Iterable[Scope]) -> tuple[Scope, ...]:
    """What of the offer was chosen; a choice beyond the offer is cut to it (edge case 45)."""
    return intersect_scopes(chosen, offered)


def settled(scopes: Iterable[Scope], client: Client, user: User, context: LaunchContext) -> tuple[Scope, ...]:
    """The scopes that mean something in the end, each of which is therefore kept (checklist 3.2, last sentence)."""
    given = _with_patient_context(normalise(scopes))
    identity = OPENID in given

    def means_something(scope: Scope) -> bool:
        match scope:
            case ResourceScope(context=Context.PATIENT):
                return context.patient is not None
            case LaunchScope("patient"):
                return context.patient is not None
            case LaunchScope("encounter"):
                return context.encounter is not None
            case IdentityScope("fhirUser") | IdentityScope("profile"):
                return identity and user.fhir_user is not None
            case RefreshScope():
                return client.may_refresh
            case _:
                return True

    kept = tuple(one for one in given if means_something(one))
    # Offline access lasts longer than online access, so that the two together say no more than the first (RF-2).
    return tuple(one for one in kept if one != ONLINE or OFFLINE not in kept)


def _with_patient_context(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """With `launch/patient` where `patient/` scopes imply it and no launch brings a patient (S-4, edge case 33)."""
    implied = any(isinstance(one, ResourceScope) and one.context is Context.PATIENT for one in scopes)
    if not implied or any(isinstance(one, LaunchScope) and one.resource_type in {None, "patient"} for one in scopes):
        return scopes
    return (*scopes, LaunchScope("patient"))


def backend_scopes(requested: Iterable[Scope], client: Client) -> tuple[Scope, ...]:
    """What a backend service gets: `system/` scopes within its pre-authorization, and its extensions (BS-3, BS-4)."""
    allowed = client.scopes or ()
    asked = tuple(requested)
    resources = [one for one in asked if isinstance(one, ResourceScope) and one.context is Context.SYSTEM]
    kept = intersect_scopes(
        [one for one in resources if can_be_enforced(one)],
        [one for one in allowed if isinstance(one, ResourceScope)],
    )
    return (*[one for one in asked if isinstance(one, ExtensionScope) and one in allowed], *kept)


def can_be_remembered(client: Client, redirect_uri: str) -> bool:
    """Whether an answer, a user's or an operator's, may stand for the next request.

    Without a secret and behind a scheme of its own, any app on a device can say that it is this one (RFC 8252 8.6).
    """
    return client.confidential or redirect_uri.startswith("https://")


def opens_anything(scopes: Iterable[Scope]) -> bool:
    """Whether they open anything: a launch or refresh scope alone says only how."""
    return any(isinstance(one, ResourceScope | IdentityScope | ExtensionScope) for one in scopes)


def needs_patient(scopes: Iterable[Scope]) -> bool:
    """Whether a patient must be in context before this can be granted (E-6, S-3)."""
    return any(
        (isinstance(one, ResourceScope) and one.context is Context.PATIENT)
        or (isinstance(one, LaunchScope) and one.resource_type == "patient")
        for one in scopes
    )


def needs_encounter(scopes: Iterable[Scope]) -> bool:
    """Whether the app asks in which visit it is used (S-2)."""
    return LaunchScope("encounter") in scopes
