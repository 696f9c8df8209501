"""Lock one for writes: which units may permit it, and how a condition is narrowed (enforcement.md 4).

The stored state and the content are judged afterwards, in `gateway/policy/writing`.
"""

from dataclasses import replace

from gateway.fhir.request.interaction import TypeSearch, Write, WriteKind
from gateway.fhir.search.evaluable_criterion import compile_search_criterion
from gateway.fhir.search.query import Query, encode_pairs
from gateway.policy.decision.decide_search import decide_type_search
from gateway.policy.decision.missing_scope import deny_missing_scope
from gateway.policy.decision.narrow import QueryPair, limit_owners, narrow
from gateway.policy.decision.public_references import relativize_references
from gateway.policy.decision_types import Allow, AllowWrite, Deny, SearchFilter
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.permission import Permission
from gateway.policy.permission.reach import Everything
from gateway.policy.permission.rules import Rules
from gateway.policy.permission.unit import CompartmentExtent, VouchedExtent
from gateway.policy.reasons import Reason
from gateway.scopes.model import Letter

WRITE_LETTERS = {
    WriteKind.CREATE: Letter.CREATE,
    WriteKind.UPDATE: Letter.UPDATE,
    WriteKind.PATCH: Letter.UPDATE,
    WriteKind.DELETE: Letter.DELETE,
}


def decide_write(write: Write, grant: Grant) -> AllowWrite | Deny:
    """Decide on a write before its content is read."""
    rules = grant.rules.writes
    if not rules.allow:
        return Deny(Reason.WRITES_OFF)
    if not rules.never.isdisjoint({write.resource_type, f"{write.resource_type}/{write.id}"}):
        return Deny(Reason.WRITE_FORBIDDEN, offender=write.resource_type)
    letter = WRITE_LETTERS[write.kind]
    permission = grant.permission_for(write.resource_type, letter)
    if not permission:
        return deny_missing_scope(grant, write.resource_type, letter)
    if not any(isinstance(unit.extent, Everything | CompartmentExtent | VouchedExtent) for unit in permission.units):
        # A shared type can be read by every token with a scope for it, but it belongs to nobody.
        return Deny(Reason.TYPE_OUT_OF_REACH, offender=write.resource_type)
    narrowing = _find_delete_narrowing(write, permission, grant.rules)
    if write.criteria is None:
        return AllowWrite(write, permission, grant, narrowing=narrowing)
    condition = _decide_condition(write, write.criteria, grant)
    if isinstance(condition, Deny):
        return condition
    if_none_exist = _build_if_none_exist(write.criteria, condition, grant)
    return AllowWrite(write, permission, grant, condition, if_none_exist, narrowing)


def _find_delete_narrowing(write: Write, permission: Permission, rules: Rules) -> tuple[QueryPair, ...]:
    """The pairs of a conditional delete that deletes only what the token may delete; none if there are no such pairs.

    Common servers ignore `If-Match` on a delete (hapi.md), so that a record could go to another patient between check
    and delete.
    """
    if write.kind is not WriteKind.DELETE or write.resource_type not in rules.conditional_delete_types:
        return ()
    narrowing = narrow(permission, rules)
    return narrowing.pairs if narrowing.is_exact else ()


def _decide_condition(write: Write, criteria: Query, grant: Grant) -> Allow | Deny:
    """The narrowed search of a condition, which needs the letter `s` as any search does.

    The criteria are evaluated here as well: a server that ignores one would have another record changed. A create
    changes none, so that its criteria may be such as cannot be evaluated.
    """
    resource_type = write.resource_type
    decision = decide_type_search(TypeSearch(resource_type, criteria), grant)
    if not isinstance(decision, Allow):
        return decision if isinstance(decision, Deny) else Deny(Reason.USER_REACH_UNKNOWN)
    search_filter = decision.response_filter
    if not isinstance(search_filter, SearchFilter):
        return Deny(Reason.INTERACTION_NOT_SUPPORTED)
    compiled = [
        compile_search_criterion(criterion, resource_type, grant.rules.bases) for criterion in criteria.criteria
    ]
    if None in compiled and write.kind is not WriteKind.CREATE:
        return Deny(Reason.PARAMETER_REFUSED, offender=str(criteria.criteria[compiled.index(None)].key))
    evaluated = tuple(criterion for criterion in compiled if criterion is not None)
    return replace(decision, response_filter=replace(search_filter, criteria=(*search_filter.criteria, *evaluated)))


def _build_if_none_exist(criteria: Query, condition: Allow, grant: Grant) -> str:
    """The narrowed criteria as a header value; empty if they could find what the token may not find."""
    search_filter = condition.response_filter
    if not isinstance(search_filter, SearchFilter) or search_filter.match_permission is None:
        return ""
    if not search_filter.is_exact:
        return ""
    permission = search_filter.match_permission
    own_pairs = relativize_references(criteria, permission.resource_type, grant.rules.public_base).pairs()
    narrowing = limit_owners(narrow(permission, grant.rules), criteria, permission.resource_type, grant.rules)
    return encode_pairs((*narrowing.pairs, *own_pairs))
