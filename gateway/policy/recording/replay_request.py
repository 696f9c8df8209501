"""Decides a recorded request again, with the same parser and the same decision as the running gateway."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from gateway.fhir.reference import parse_reference
from gateway.fhir.request.interaction import BatchOrTransaction, BundleKind, Interaction, Operation
from gateway.fhir.request.parse_request import parse_request
from gateway.fhir.request_error import RequestError
from gateway.fhir.search_parameters import SearchType
from gateway.policy.decision.decide import decide
from gateway.policy.decision_types import Decision, Deny, NeedUserCompartments, Permitted
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.reach import CompartmentSet, UserFacts
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.policy.recording.hidden_names import find_name
from gateway.policy.recording.hidden_operation import list_names
from gateway.policy.recording.hidden_scopes import list_rule_words
from gateway.policy.recording.recorded_request import RecordedReach, RecordedRequest
from gateway.scopes.model import Scope
from gateway.scopes.parse_scopes import ScopeError, parse_granted_scopes

_JSON = b"application/fhir+json"
_BUNDLES = {kind.value: BatchOrTransaction(kind, ()) for kind in BundleKind}
# What an operation is refused for before anybody looks at the resource in its body.
_BEFORE_THE_RESOURCE = frozenset(
    {
        Reason.METHOD_NOT_ALLOWED,
        Reason.OPERATION_NOT_ALLOWED,
        Reason.PARAMETER_MISSING,
        Reason.PARAMETER_REPEATED,
        Reason.PARAMETER_UNKNOWN,
        Reason.PATIENT_CONTEXT_INVALID,
        Reason.PATIENT_CONTEXT_MISSING,
        Reason.SCOPE_INSUFFICIENT,
        Reason.TYPE_OUT_OF_REACH,
        Reason.USER_REACH_UNKNOWN,
        Reason.WRITES_OFF,
        Reason.WRITE_FORBIDDEN,
    }
)


@dataclass(frozen=True, slots=True)
class Undecidable:
    """What was recorded does not say how the request would be decided. `why` is a clause."""

    why: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """A decision, on what, and under which grant. `interaction` is None where the request could not be parsed."""

    decision: Permitted | Deny
    interaction: Interaction | None
    grant: Grant


@dataclass(frozen=True, slots=True)
class Policy:
    """What of a configuration decides on a request of a token that is accepted.

    With `knows_reach`, users reach whom they reached when the request was recorded.
    """

    rules: Rules
    extra_parameters: Mapping[str, Mapping[str, SearchType]] = field(default_factory=dict)
    knows_reach: bool = True


def replay_request(recorded: RecordedRequest, policy: Policy, scopes: tuple[Scope, ...]) -> Replayed | Undecidable:
    """The decision on the request for a token with these scopes."""
    if recorded.interaction == "none":
        return Undecidable("the request could not be read, and what it said was not recorded")
    grant = _build_grant(recorded, policy, scopes)
    if recorded.interaction in _BUNDLES:
        interaction: Interaction = _BUNDLES[recorded.interaction]
    elif not recorded.path:
        return Undecidable(f"{recorded.interaction}: what it depends on is sealed or kept here")
    else:
        try:
            interaction = _parse(recorded, policy)
        except RequestError as error:
            return Replayed(Deny(Reason(error.problem.value), error.offender), None, grant)
    return _judge(decide(interaction, grant), interaction, grant, recorded)


def _judge(
    decision: Decision, interaction: Interaction, grant: Grant, recorded: RecordedRequest
) -> Replayed | Undecidable:
    if isinstance(decision, NeedUserCompartments):
        return Undecidable("whom the user reaches is looked up at the FHIR server")
    reason = decision.reason if isinstance(decision, Deny) else Reason.PERMITTED
    holds_resource = any(argument.kind == "resource" for argument in recorded.arguments)
    if isinstance(interaction, Operation) and holds_resource and reason not in _BEFORE_THE_RESOURCE:
        return Undecidable("the decision depends on the resource in the body of the operation")
    if reason is Reason.PERMITTED and _may_be_named(recorded, grant.rules):
        return Undecidable("writes.never names records of the type, and ids are not recorded")
    return Replayed(decision, interaction, grant)


def _may_be_named(recorded: RecordedRequest, rules: Rules) -> bool:
    """Whether the operator excludes single records from writes, of which this may be one."""
    resource_type, _, rest = recorded.path.removeprefix("/").partition("/")
    is_write = recorded.method in {"PUT", "PATCH", "DELETE"} or (recorded.method == "POST" and "/$" in recorded.path)
    return is_write and bool(rest) and any(name.startswith(f"{resource_type}/") for name in rules.writes.never)


def _build_grant(recorded: RecordedRequest, policy: Policy, scopes: tuple[Scope, ...]) -> Grant:
    rules, resource_type = policy.rules, recorded.path.removeprefix("/").partition("/")[0]
    rules = replace(
        rules,
        unsupported_parameters={name: frozenset(undeclared) for name, undeclared in recorded.undeclared.items()},
        has_capability_statement=recorded.is_statement_known,
        conditional_delete_types=frozenset({resource_type} if recorded.deletes_conditionally else ()),
    )
    access = Access(
        issuer=recorded.issuer,
        client_id=recorded.client_id,
        subject="subject" if recorded.has_subject else None,
        scopes=scopes,
        expires_at=0.0,
        patient=recorded.patient,
        patient_problem=recorded.patient_problem,
        user=None if recorded.user is None else parse_reference(recorded.user),
        scope_text=" ".join((recorded.scope, *_find_words(recorded, rules))),
        roles=frozenset(recorded.roles),
        purposes_of_use=frozenset(recorded.purposes_of_use),
    )
    if recorded.reach is None or not policy.knows_reach:
        return Grant(access, rules)
    return Grant(access, rules, UserFacts(_build_compartments(recorded.reach)))


def _find_words(recorded: RecordedRequest, rules: Rules) -> Iterator[str]:
    """The words of the token's scope that are no scopes of SMART, as far as rules about labels name them."""
    names = list_rule_words(rules.record_rules)
    yield from names & {find_name(word, names) for word in recorded.scope_words}


def _build_compartments(reach: RecordedReach) -> CompartmentSet:
    others = (f"other-{number}" for number in range(reach.others))
    return CompartmentSet(reach.compartment_type, frozenset({*reach.named, *others}))


def _parse(recorded: RecordedRequest, policy: Policy) -> Interaction:
    """The interaction. Raises `RequestError`."""
    names, headers, body = list_names(policy.rules.operations), {}, b""
    path = recorded.path
    head, mark, name = path.partition("/$")
    if mark:
        path = f"{head}/${find_name(name, names)}"
    pairs = [piece.partition("=") for piece in recorded.query.split("&")] if recorded.query else []
    query = "&".join(f"{find_name(name, names) if mark else name}={value}" for name, _, value in pairs)
    if recorded.if_none_exist:
        headers[b"if-none-exist"] = recorded.if_none_exist.encode()
    if recorded.arguments:
        headers[b"content-type"] = _JSON
        body = msgspec.json.encode(_build_body(recorded, names))
    return parse_request(
        recorded.method, path.encode(), query.encode(), headers, body, extra_parameters=policy.extra_parameters
    )


def _build_body(recorded: RecordedRequest, names: frozenset[str]) -> Any:
    """Parameters, or the one resource without Parameters around it."""
    if not recorded.arguments[0].name:
        return recorded.arguments[0].value
    parameters = [{"name": find_name(one.name, names), one.kind: one.value} for one in recorded.arguments]
    return {"resourceType": "Parameters", "parameter": parameters}


def recorded_scopes(recorded: RecordedRequest) -> tuple[Scope, ...]:
    """The scopes that were granted; none if they cannot be read."""
    try:
        return parse_granted_scopes(recorded.scope)
    except ScopeError:
        return ()
