"""What becomes of a stored resource by an update or a patch: nothing that the token may not read decides on it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.fhir.request.apply_patch import apply_patch
from gateway.fhir.request.content import JsonPatch, decode_stored, encode_resource, parse_resource
from gateway.policy.decision_types import AllowWrite, Deny
from gateway.policy.permission.unit import Unit
from gateway.policy.reasons import Reason
from gateway.policy.writing.kept_labels import carry_labels, has_kept_labels
from gateway.policy.writing.new_state import NewState, prepare_content
from gateway.policy.writing.stored_state import StoredState
from gateway.policy.writing.unread_patch import read_unread_patch, set_elements

# By these a constraint can be satisfied by a write that changes nothing else.
_SET_BY_SERVER = frozenset({"_lastUpdated", "_source"})


def patch_state(patch: JsonPatch, allow: AllowWrite, stored: StoredState, *, is_readable: bool) -> NewState | Deny:
    """The new state by a patch. `is_readable`: the token may read what is stored.

    Raises `RequestError` if the patch cannot be applied, or if its result is not the same resource.
    """
    if not is_readable:
        return _patch_unread(patch, allow, stored)
    return prepare_content(allow, parse_resource(apply_patch(patch, decode_stored(stored.text)), allow.write))


def _patch_unread(patch: JsonPatch, allow: AllowWrite, stored: StoredState) -> NewState | Deny:
    elements = read_unread_patch(patch, allow) if allow.grant.rules.writes.patch_unread else None
    if elements is None:
        return Deny(Reason.PATCH_TEST_REFUSED)
    patched = encode_resource(set_elements(decode_stored(stored.text), elements))
    new = prepare_content(allow, patched, elements=elements)
    if isinstance(new, NewState) and _may_become_readable(new.resource, allow):
        # What the patch leaves as it was would become readable.
        return Deny(Reason.WRITE_OUT_OF_REACH)
    return new


def carry_kept_labels(
    new: NewState, allow: AllowWrite, stored: StoredState, units: tuple[Unit, ...]
) -> NewState | Deny:
    """The new state with the labels that have to stay, for a record that the token may not read, whose labels it cannot
    know."""
    grant = allow.grant
    if not has_kept_labels(units, grant):
        return new
    if _may_become_readable(new.resource, allow):
        # The labels would become readable.
        return Deny(Reason.WRITE_OUT_OF_REACH)
    tree = carry_labels(decode_stored(new.text), stored.resource, units, grant)
    return prepare_content(allow, encode_resource(tree))


def _may_become_readable(resource: Mapping[str, Any], allow: AllowWrite) -> bool:
    """Whether the token may read the resource once it is written: the server sets its time, and some its source."""
    units = allow.grant.read_or_search_permission(allow.write.resource_type).units
    return any(
        replace(unit, criteria=tuple(one for one in unit.criteria if one.parameter.name not in _SET_BY_SERVER)).permits(
            resource
        )
        for unit in units
    )
