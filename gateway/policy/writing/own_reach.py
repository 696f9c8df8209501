"""Whether a write extends the reach of users: by a record that makes a panel, a role, or somebody a related person."""

from collections.abc import Mapping
from typing import Any

from gateway.policy.decision_types import AllowWrite
from gateway.policy.permission.reach import Everything
from gateway.policy.permission.reach_record import ReachRecord
from gateway.scopes.model import Context, ResourceScope


def reach_records(allow: AllowWrite) -> tuple[ReachRecord, ...]:
    """What decides on the reach of such users as the token's, in records of the type that is written.

    A scope for the whole server depends on no such record, unless the token has one for what its user reaches besides.
    """
    user, rules = allow.grant.access.user, allow.grant.rules
    if user is None or rules.writes.change_own_reach:
        return ()
    has_user_scope = any(
        isinstance(scope, ResourceScope) and scope.context is Context.USER for scope in allow.grant.access.scopes
    )
    is_free = not has_user_scope and any(isinstance(unit.extent, Everything) for unit in allow.permission.units)
    if is_free:
        return ()
    return tuple(
        record
        for record in rules.reach_records
        if record.resource_type == allow.write.resource_type and user.resource_type in record.user_types
    )


def extends_reach(new: Mapping[str, Any], stored: Mapping[str, Any] | None, allow: AllowWrite) -> bool:
    """Whether the new state may count for others, or longer, than what is `stored`; None if nothing is known of that.

    What ends a record, or changes nothing that decides, extends nothing.
    """
    return any(
        record.counts(new) and (stored is None or not record.decides_alike(stored, new))
        for record in reach_records(allow)
    )
