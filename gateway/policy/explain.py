"""Why a request is let through or refused, in plain lines, from the live decision itself (enforcement.md 6)."""

from collections.abc import Iterator
from typing import assert_never

from gateway.fhir.interaction import Interaction
from gateway.policy.decide import decide
from gateway.policy.decision import (
    Allow,
    Decision,
    Deny,
    Keep,
    KeepBinary,
    KeepCapabilities,
    KeepMatches,
    KeepResource,
    KeepVersions,
    Need,
    Relay,
)
from gateway.policy.grant import Grant
from gateway.policy.permission import Member, Permission, Shared, Single, Unit, Vouched
from gateway.policy.reach import Compartments, Everything, Nothing, Unknown
from gateway.policy.reasons import ANSWERS
from gateway.scopes.model import Letter
from gateway.scopes.unparse import unparse_scope


def explain(interaction: Interaction, grant: Grant) -> Iterator[str]:
    """The lines of the explanation. The decision shown is the one that the proxy takes."""
    yield f"Request       {_describe(interaction)}"
    yield f"Client        {grant.access.client_id}"
    yield f"Patient       {grant.access.patient or '(none)'}"
    yield f"User          {grant.access.user or '(none)'}"
    yield from _reaches(grant)
    yield from _units(interaction, grant)
    yield from _outcome(decide(interaction, grant), grant)


def _describe(interaction: Interaction) -> str:
    fields = (getattr(interaction, name, None) for name in ("resource_type", "id", "compartment_id"))
    return " ".join([type(interaction).__name__, *(str(field) for field in fields if field)])


def _reaches(grant: Grant) -> Iterator[str]:
    for context, reach in sorted(grant.reaches.items()):
        yield f"Reach         {context}/ scopes reach {_describe_reach(reach)}"


def _describe_reach(reach: Everything | Compartments | Nothing | Unknown) -> str:
    match reach:
        case Everything():
            return "every record of the server"
        case Compartments(compartment_type, ids):
            return f"the compartment of {', '.join(f'{compartment_type}/{one}' for one in sorted(ids))}"
        case Nothing(reason):
            return f"nothing ({reason}: {ANSWERS[reason].sentence})"
        case Unknown(user):
            return f"what the server tells about {user}; the live gateway looks it up"
    assert_never(reach)


def _units(interaction: Interaction, grant: Grant) -> Iterator[str]:
    resource_type = getattr(interaction, "resource_type", None)
    if not isinstance(resource_type, str) or resource_type == "*":
        return
    for scope in grant.scopes:
        if scope.resource_type not in {"*", resource_type}:
            yield f"Scope         {unparse_scope(scope)}: is about {scope.resource_type}, not {resource_type}"
    if grant.missing_fact is not None:
        return
    for letter in (Letter.READ, Letter.SEARCH):
        units = grant.permission(resource_type, letter).units
        for unit in units:
            yield f"Unit ({letter})      {_describe_unit(unit, resource_type)}"
        if not units:
            reason = grant.lack(resource_type, letter)
            yield f"Unit ({letter})      none for {resource_type}: {reason}"


def _describe_unit(unit: Unit, resource_type: str) -> str:
    origin = unparse_scope(unit.scope) if unit.scope is not None else "openid fhirUser"
    limits = [_describe_extent(unit, resource_type)]
    limits += [f"with {criterion.parameter.name} as the scope says" for criterion in unit.criteria]
    return f"{origin}: {', '.join(limits)}"


def _describe_extent(unit: Unit, resource_type: str) -> str:
    match unit.extent:
        case Everything():
            return f"every {resource_type}"
        case Member(compartments):
            return f"{resource_type} in {_describe_reach(compartments)}"
        case Shared():
            return f"any {resource_type} by its id (shared type, no open search)"
        case Vouched():
            return f"a {resource_type} that something visible vouches for"
        case Single(reference):
            return f"the user's own resource {reference}"
    assert_never(unit.extent)


def _outcome(decision: Decision, grant: Grant) -> Iterator[str]:
    match decision:
        case Deny(reason, offender, scope):
            yield f"Outcome       refused, {ANSWERS[reason].status} {reason}: {ANSWERS[reason].sentence}"
            if offender:
                yield f"Because of    {offender}"
            if scope:
                yield f"Would help    scope {scope}"
        case Need(unknown):
            yield f"Outcome       depends on {unknown.user}, which the live gateway looks up first"
        case Allow(send, keep, current, left_out):
            if current is not None:
                yield f"First         {current} must be readable as it stands now"
            query = f"?{send.query}" if send.query else ""
            yield f"Sent          GET {grant.rules.upstream_base}{send.path}{query}"
            yield f"Verified      {_describe_keep(keep)}"
            for one in left_out:
                yield f"Left out      {one}"
            yield "Outcome       permitted; what fails the verification does not leave the gateway"
        case _:
            assert_never(decision)


def _describe_keep(keep: Keep) -> str:
    match keep:
        case Relay():
            return "nothing: the token sees every record"
        case KeepCapabilities():
            return "nothing: the CapabilityStatement is public"
        case KeepBinary(permission=permission):
            if permission.vouched and not permission.unlimited:
                return "its security context, or a DocumentReference that points at it, must be visible within reach"
            return "in JSON it must be the Binary asked for, and within its unit"
        case KeepResource(permission=permission):
            return f"the resource must be the one asked for; looks at {_elements(permission)}"
        case KeepMatches(match=match, ids=ids, exact=exact):
            looked_at = f"; looks at {_elements(match)}" if match is not None else ""
            named = f"; only ids {', '.join(sorted(ids))}" if ids is not None else ""
            total = "total repeated" if exact else "no total, since the server's count may be of more"
            return f"each match and each include by itself{looked_at}{named}; {total}"
        case KeepVersions():
            return "each version by itself"
    assert_never(keep)


def _elements(permission: Permission) -> str:
    return ", ".join(sorted(permission.elements))
