"""Judges a write: from the stored state and the content to what is sent, or why it is refused. It asks for nothing.

The steps are functions of values, so that a transaction can take each step for all of its entries: `judge_write` tells
which records it needs to know, and `finish_write` (`judged_write.py`) decides with them.
"""

import msgspec

from gateway.fhir.request.content import JsonPatch
from gateway.fhir.request.interaction import Preconditions, WriteKind
from gateway.fhir.resources.version import ResourceVersion
from gateway.fhir.resources.written_references import ReferenceForm, WrittenReference
from gateway.policy.decision_types import AllowWrite, Deny, UpstreamWrite
from gateway.policy.permission.reach import Everything
from gateway.policy.permission.unit import Unit
from gateway.policy.reasons import Reason
from gateway.policy.writing.binary_owner import (
    BINARY,
    WrittenBinary,
    find_owner,
    find_owner_to_look_up,
    owning_units,
)
from gateway.policy.writing.build_write import build_write
from gateway.policy.writing.changed_state import carry_kept_labels, patch_state
from gateway.policy.writing.judge_delete import judge_delete
from gateway.policy.writing.judged_write import JudgedWrite
from gateway.policy.writing.kept_labels import keeps_rule_labels
from gateway.policy.writing.new_state import NewState
from gateway.policy.writing.own_reach import extends_reach
from gateway.policy.writing.permitting_units import changing_units, is_readable
from gateway.policy.writing.reference_rules import find_reference_needs
from gateway.policy.writing.stored_state import StoredState
from gateway.policy.writing.written_state import is_lasting, keeps_labels, may_be_made


def judge_write(
    allow: AllowWrite, content: NewState | JsonPatch | None, stored: StoredState | None
) -> JudgedWrite | Deny:
    """Judge a write. `stored` is None if there is no such resource, as for a create.

    `allow.write` has an id unless it is a create. Raises `RequestError` if a patch cannot be applied, or if its result
    is not the same resource.
    """
    if f"{allow.write.resource_type}/{allow.write.id}" in allow.grant.rules.writes.never:
        return Deny(Reason.WRITE_FORBIDDEN, offender=allow.write.resource_type)
    if stored is None:
        return _judge_new(allow, content)
    units = changing_units(allow.permission, stored.resource)
    if allow.write.resource_type == BINARY:
        units = owning_units(units, stored.resource, stored.owner_record)
    if not units:
        is_withheld = allow.permission.withholds(stored.resource)
        return Deny(Reason.RECORD_WITHHELD if is_withheld else Reason.OUT_OF_REACH)
    refusal = _check_preconditions(allow.write.preconditions, stored.version)
    if refusal is not None:
        return refusal
    if allow.write.kind is WriteKind.DELETE:
        return judge_delete(allow, stored, units)
    return _judge_change(allow, content, stored, units)


def _judge_new(allow: AllowWrite, new: NewState | JsonPatch | None) -> JudgedWrite | Deny:
    write = allow.write
    is_update_as_create = write.kind is WriteKind.UPDATE and write.id is not None
    if not isinstance(new, NewState) or (write.kind is not WriteKind.CREATE and not is_update_as_create):
        return Deny(Reason.OUT_OF_REACH)
    if write.preconditions.if_match is not None:
        return Deny(Reason.OUT_OF_REACH)
    units = tuple(unit for unit in new.units if may_be_made(unit, new.resource))
    if is_update_as_create and not allow.grant.rules.writes.accept_races:
        # Between check and write somebody else may create it, and no server that is known keeps that from being
        # overwritten (hapi.md). Where the units cover all, the token may overwrite it anyway.
        units = tuple(unit for unit in units if unit.covers_whole_type)
        if not units:
            return Deny(Reason.CREATION_NOT_EXCLUSIVE)
    if not units:
        return Deny(Reason.WRITE_OUT_OF_REACH)
    if extends_reach(new.resource, None, allow):
        return Deny(Reason.REACH_EXTENDED)
    judged = _with_references(build_write(write, None, new.text), units, new, allow, known=None, is_new=True)
    is_untied = is_update_as_create and not any(unit.covers_whole_type for unit in units)
    return msgspec.structs.replace(judged, is_untied=True) if is_untied and isinstance(judged, JudgedWrite) else judged


def _judge_change(
    allow: AllowWrite, content: NewState | JsonPatch | None, stored: StoredState, units: tuple[Unit, ...]
) -> JudgedWrite | Deny:
    readable = allow.grant.read_or_search_permission(allow.write.resource_type)
    is_readable_now = is_readable(readable, stored.resource)
    new: NewState | Deny
    if content is None:
        return Deny(Reason.OUT_OF_REACH)
    if isinstance(content, JsonPatch):
        new = patch_state(content, allow, stored, is_readable=is_readable_now)
    else:
        new = content if is_readable_now else carry_kept_labels(content, allow, stored, units)
    if isinstance(new, Deny):
        return new
    both = tuple(unit for unit in units if unit in new.units)
    if not both:
        return Deny(Reason.WRITE_OUT_OF_REACH)
    permitting = tuple(unit for unit in both if keeps_labels(unit, stored.resource, new.resource))
    # The labels of a record that the token may not read were carried over.
    keeps_labels_of_rules = not is_readable_now or keeps_rule_labels(stored.resource, new.resource, allow.grant)
    if not permitting or not keeps_labels_of_rules:
        return Deny(Reason.LABELS_CHANGED)
    is_known = isinstance(content, JsonPatch) or is_readable_now
    if extends_reach(new.resource, stored.resource if is_known else None, allow):
        return Deny(Reason.REACH_EXTENDED)
    is_safe = stored.version.version_id is not None or any(
        is_lasting(unit, allow.write.resource_type) for unit in permitting
    )
    if not is_safe and not allow.grant.rules.writes.accept_races:
        return Deny(Reason.VERSION_UNKNOWN)
    request = build_write(allow.write, stored.version, new.text)
    judged = _with_references(request, permitting, new, allow, known=stored if is_readable_now else None, is_new=False)
    return judged if is_safe or isinstance(judged, Deny) else msgspec.structs.replace(judged, is_untied=True)


def _with_references(
    request: UpstreamWrite,
    units: tuple[Unit, ...],
    new: NewState,
    allow: AllowWrite,
    *,
    known: StoredState | None,
    is_new: bool,
) -> JudgedWrite | Deny:
    """The write with the references that decide. `known` is what is stored, if the token may read it."""
    if _vouches_for_binary(new.references, units, allow):
        return Deny(Reason.REFERENCE_OUT_OF_REACH)
    reach = allow.permission.reference_reach(units, allow.grant.rules)
    known_resource, known_text = (None, b"") if known is None else (known.resource, known.text)
    needs = find_reference_needs(new.resource, new.references, known_resource, reach, known_text)
    if isinstance(needs, Deny):
        return needs
    judged = JudgedWrite(request, units, needs.records, needs.references)
    return _with_owner(judged, new, allow, is_new=is_new) if allow.write.resource_type == BINARY else judged


def _with_owner(judged: JudgedWrite, new: NewState, allow: AllowWrite, *, is_new: bool) -> JudgedWrite:
    rules = allow.grant.rules
    unknown = find_owner_to_look_up(new.resource, allow.permission, rules)
    records = judged.records if unknown is None else tuple(dict.fromkeys((*judged.records, unknown)))
    is_free = is_new and "securityContext" not in new.resource
    return msgspec.structs.replace(
        judged, records=records, binary=WrittenBinary(find_owner(new.resource, rules), is_free)
    )


def _vouches_for_binary(references: tuple[WrittenReference, ...], units: tuple[Unit, ...], allow: AllowWrite) -> bool:
    """Whether a record that may be about anybody points at a Binary, of which the token sees only a patient's."""
    is_free = any(isinstance(unit.extent, Everything) for unit in units)
    if not is_free or not any(map(_may_be_binary, references)):
        return False
    readable = allow.grant.read_permission("Binary")
    return bool(readable.vouching_compartments) and not readable.covers_whole_type


def _may_be_binary(reference: WrittenReference) -> bool:
    """Whether some server may take the reference for one to a Binary."""
    if reference.form is ReferenceForm.UNCLEAR:
        return True
    return reference.target is not None and reference.target.resource_type == "Binary"


def _check_preconditions(preconditions: Preconditions, version: ResourceVersion) -> Deny | None:
    """The client's preconditions on a resource that exists, and that the token may change."""
    if preconditions.if_none_match:
        return Deny(Reason.PRECONDITION_FAILED, offender="If-None-Match")
    if preconditions.if_match in (None, "*", version.version_id):
        return None
    return Deny(Reason.PRECONDITION_FAILED, offender="If-Match")
