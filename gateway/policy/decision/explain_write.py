"""The explanation of a write: what is asked first, what must hold, and what is sent then."""

from collections.abc import Iterator

from gateway.fhir.request.interaction import Write, WriteKind
from gateway.policy.decision.explanation import Explanation, Line, Outcome
from gateway.policy.decision_types import AllowWrite
from gateway.policy.permission.unit import CompartmentExtent
from gateway.policy.reasons import Reason


def explain_write(lines: tuple[Line, ...], allow: AllowWrite) -> Explanation:
    """The explanation of a write that the scopes do not forbid: what is stored decides, and its body."""
    outcome = Line("Outcome", f"depends on {_describe_dependence(allow.write)}")
    return Explanation((*lines, *_describe_steps(allow), outcome), Outcome.DEPENDS, Reason.PERMITTED)


def _describe_dependence(write: Write) -> str:
    match write.kind:
        case WriteKind.CREATE:
            return "the body; then 201"
        case WriteKind.DELETE:
            return "what is stored; then 204"
        case WriteKind.UPDATE | WriteKind.PATCH:
            return "what is stored and on the body; then 200"


def _describe_steps(allow: AllowWrite) -> Iterator[Line]:
    write, base = allow.write, allow.grant.rules.upstream_base
    if allow.condition is not None:
        request = allow.condition.upstream_request
        yield Line("First", f"GET {base}{request.target}, which must find one resource at most")
    elif write.id is not None:
        yield Line("First", f"GET {base}/{write.resource_type}/{write.id}")
    if write.resource_type == "Binary":
        yield from _describe_owner(allow)
    if write.kind is not WriteKind.CREATE:
        yield Line("Verified", "what is stored must be within one of the units, and about nobody else")
    if write.kind is not WriteKind.DELETE:
        yield Line("Verified", "what is written must be within the same unit, and about nobody else")
        is_limited = any(isinstance(unit.extent, CompartmentExtent) for unit in allow.permission.units)
        if is_limited and allow.grant.rules.writes.check_references:
            yield Line("Verified", "records that the body refers to must belong to the same compartment")
    yield Line("Sent", _describe_request(allow))
    if not allow.grant.read_permission(write.resource_type):
        yield Line("Left out", f"the body of the response: no scope has r for {write.resource_type}")


def _describe_owner(allow: AllowWrite) -> Iterator[Line]:
    """Whose a Binary has to be. A scope for all of them asks nothing."""
    if allow.permission.covers_whole_type or not allow.permission.vouching_compartments:
        return
    yield Line("Verified", "its securityContext, stored and written, must lead into the reach of the unit")
    if allow.write.kind is WriteKind.CREATE:
        yield Line("Verified", "without one, a resource of the same transaction that points at it must be within reach")


def _describe_request(allow: AllowWrite) -> str:
    write, base = allow.write, allow.grant.rules.upstream_base
    path = f"{base}/{write.resource_type}"
    if write.kind is WriteKind.CREATE:
        return f"POST {path}" + (f" with If-None-Exist: {allow.if_none_exist}" if allow.if_none_exist else "")
    target = f"{path}/{write.id or '(the one that was found)'}"
    if write.kind is WriteKind.DELETE:
        tie = "what narrows" if allow.narrowing else ""
        if write.resource_type == "Binary" and not allow.permission.covers_whole_type:
            tie = "the time of the version that was verified"
        return f"DELETE {path}?_id={write.id or '...'} and {tie}" if tie else f"DELETE {target}"
    return f"PUT {target} with If-Match of the version that was verified"
