"""Computes the granted scopes: requested, allowed to client and user, and agreed to (checklist 3.2, SC-33).

Nothing is added to the request, except for the `launch/patient` that patient/ scopes imply.
"""

from collections.abc import Iterable
from dataclasses import replace

from gateway.fhir.matching.judged_types import find_judged_types
from gateway.oauth.authorization import User
from gateway.oauth.client.client import Client
from gateway.oauth.launch_context import LaunchContext
from gateway.scopes.algebra import intersect_scopes, normalise
from gateway.scopes.model import (
    ANY_TYPE,
    Context,
    ExtensionScope,
    IdentityScope,
    LaunchScope,
    Letter,
    RefreshScope,
    ResourceScope,
    Scope,
)
from gateway.scopes.resource_types import RESOURCE_TYPES

# More constraints of one scope cannot be read as a sentence.
MAX_CONSTRAINTS = 20
OPENID = IdentityScope("openid")
FHIR_USER = IdentityScope("fhirUser")
# The alias of SMART 1.0, which fhirclient for Python still requests (SC-12).
PROFILE = IdentityScope("profile")
OFFLINE_ACCESS = RefreshScope("offline_access")
ONLINE_ACCESS = RefreshScope("online_access")
LAUNCH = LaunchScope()


def count_scopes(scopes: Iterable[Scope]) -> int:
    """The number of scopes to compare with the limit of a request."""
    return sum(max(1, len(scope.constraints)) if isinstance(scope, ResourceScope) else 1 for scope in scopes)


def can_be_enforced(scope: ResourceScope) -> bool:
    """Whether the gateway can judge every constraint of the scope. Otherwise it is not granted (SC-23, edge case 94).

    For a wildcard one resource type is enough; the others get no access (edge case 96).
    """
    if len(scope.constraints) > MAX_CONSTRAINTS:
        return False
    types = RESOURCE_TYPES if scope.resource_type == ANY_TYPE else frozenset({scope.resource_type})
    for constraint in scope.constraints:
        if constraint.name != "_type":
            types = find_judged_types(constraint.name, constraint.modifier, constraint.value, types)
    return bool(types)


def grantable_scopes(requested: Iterable[Scope], client: Client, limits: Iterable[Scope]) -> tuple[Scope, ...]:
    """The scopes that the consent page offers. `limits` are the resource scopes that this user may grant.

    A user cannot grant `system/` scopes (SC-29). Raises `TooManyScopesError`.
    """
    scopes = tuple(requested)
    resources = [scope for scope in scopes if _may_be_granted(scope)]
    limited = intersect_scopes(resources, limits)
    others = [scope for scope in scopes if not isinstance(scope, ResourceScope) and _is_understood(scope, client)]
    grantable = (*others, *limited)
    return grantable if client.scopes is None else _limit_to_client(grantable, client.scopes)


def _may_be_granted(scope: Scope) -> bool:
    return isinstance(scope, ResourceScope) and scope.context is not Context.SYSTEM and can_be_enforced(scope)


def _is_understood(scope: Scope, client: Client) -> bool:
    """Extension scopes must be registered for the client (edge case 93)."""
    return not isinstance(scope, ExtensionScope) or (client.scopes is not None and scope in client.scopes)


def _limit_to_client(scopes: tuple[Scope, ...], allowed: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """The scopes that the client may have. Launch scopes need no registration: they give no access to records."""
    resources = [scope for scope in scopes if isinstance(scope, ResourceScope)]
    others = [scope for scope in scopes if isinstance(scope, LaunchScope) or scope in allowed or scope == PROFILE]
    limited = intersect_scopes(resources, [scope for scope in allowed if isinstance(scope, ResourceScope)])
    return (*[scope for scope in others if not isinstance(scope, ResourceScope)], *limited)


def limit_to_offer(offered: Iterable[Scope], chosen: Iterable[Scope]) -> tuple[Scope, ...]:
    """The chosen scopes, limited to those that the page offered (edge case 45)."""
    return intersect_scopes(chosen, offered)


def final_scopes(scopes: Iterable[Scope], client: Client, user: User, context: LaunchContext) -> tuple[Scope, ...]:
    """The scopes to grant: those that have a meaning for this user and context (checklist 3.2, last sentence)."""
    agreed = _add_launch_patient(normalise(scopes))
    has_openid = OPENID in agreed

    def has_meaning(scope: Scope) -> bool:
        match scope:
            case ResourceScope(context=Context.PATIENT):
                return context.patient is not None
            case LaunchScope("patient"):
                return context.patient is not None
            case LaunchScope("encounter"):
                return context.encounter is not None
            case IdentityScope("fhirUser") | IdentityScope("profile"):
                return has_openid and user.fhir_user is not None
            case RefreshScope():
                return client.may_refresh
            case _:
                return True

    meaningful = tuple(scope for scope in agreed if has_meaning(scope))
    # Offline access includes online access (RF-2).
    return tuple(scope for scope in meaningful if scope != ONLINE_ACCESS or OFFLINE_ACCESS not in meaningful)


def _add_launch_patient(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """Add `launch/patient` if `patient/` scopes imply it and no launch provides a patient (S-4, edge case 33)."""
    is_implied = any(isinstance(scope, ResourceScope) and scope.context is Context.PATIENT for scope in scopes)
    if not is_implied or any(
        isinstance(scope, LaunchScope) and scope.resource_type in {None, "patient"} for scope in scopes
    ):
        return scopes
    return (*scopes, LaunchScope("patient"))


def with_both_forms(granted: Iterable[Scope], requested: Iterable[Scope]) -> tuple[Scope, ...]:
    """The granted scopes; one that was requested in the forms of v1 and v2 stands there in both.

    An app that sends both forms, so that it works everywhere, looks for the one that it understands (SC-9).
    """
    forms = {scope for scope in requested if isinstance(scope, ResourceScope)}
    echoed: dict[Scope, None] = {}
    for scope in granted:
        echoed[scope] = None
        if isinstance(scope, ResourceScope) and scope in forms:
            other_form = replace(scope, is_v1=not scope.is_v1)
            if other_form in forms:
                echoed[other_form] = None
    return tuple(echoed)


def backend_scopes(requested: Iterable[Scope], client: Client) -> tuple[Scope, ...]:
    """The scopes of a backend service: registered `system/` scopes and extensions (BS-3, BS-4).

    Raises `TooManyScopesError`.
    """
    allowed = client.scopes or ()
    scopes = tuple(requested)
    resources = [scope for scope in scopes if isinstance(scope, ResourceScope) and scope.context is Context.SYSTEM]
    granted = intersect_scopes(
        [scope for scope in resources if can_be_enforced(scope)],
        [scope for scope in allowed if isinstance(scope, ResourceScope)],
    )
    return (*[scope for scope in scopes if isinstance(scope, ExtensionScope) and scope in allowed], *granted)


def can_remember_consent(client: Client, redirect_uri: str) -> bool:
    """Whether consent may be skipped, because the user agreed before or the settings say so.

    Any app on a device can claim to be a public client with a private-use URI scheme (RFC 8252 8.6).
    """
    return client.is_confidential or redirect_uri.startswith("https://")


def gives_access(scopes: Iterable[Scope]) -> bool:
    """Whether the scopes give any access. Launch and refresh scopes alone do not."""
    return any(isinstance(scope, ResourceScope | IdentityScope | ExtensionScope) for scope in scopes)


def changes_app_state(scopes: Iterable[Scope]) -> bool:
    """Whether the scopes let an app change app state, where it is kept here (checklist AS-19)."""
    return any(
        isinstance(scope, ResourceScope)
        and scope.resource_type in {ANY_TYPE, "Basic"}
        and not scope.letters.isdisjoint({Letter.CREATE, Letter.UPDATE, Letter.DELETE})
        for scope in scopes
    )


def needs_patient(scopes: Iterable[Scope]) -> bool:
    """Whether the scopes require a patient in context (E-6, S-3)."""
    return any(
        (isinstance(scope, ResourceScope) and scope.context is Context.PATIENT)
        or (isinstance(scope, LaunchScope) and scope.resource_type == "patient")
        for scope in scopes
    )


def needs_encounter(scopes: Iterable[Scope]) -> bool:
    """Whether the app requests an encounter in context (S-2)."""
    return LaunchScope("encounter") in scopes
