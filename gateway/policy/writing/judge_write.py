"""Judges a write: from the stored state and the content to what is sent, or why it is refused. It asks for nothing.

The steps are functions of values, so that a transaction can take each step for all of its entries: `judge_write` tells
which records it needs to know, and `finish_write` decides with them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.fhir.matching.criterion import compile_criterion
from gateway.fhir.matching.value_syntax import split_alternatives
from gateway.fhir.reference import Reference
from gateway.fhir.request.apply_patch import apply_patch
from gateway.fhir.request.content import (
    JsonPatch,
    WrittenResource,
    decode_stored,
    encode_resource,
    parse_resource,
)
from gateway.fhir.request.interaction import Preconditions, Write, WriteKind
from gateway.fhir.resources.version import ResourceVersion
from gateway.fhir.resources.written_references import (
    ReferenceForm,
    WrittenReference,
    find_written_references,
    list_written_references,
    relativize_written_references,
)
from gateway.fhir.search.query import encode_pairs
from gateway.policy.decision_types import AllowWrite, Deny, UpstreamWrite
from gateway.policy.permission.reach import Everything
from gateway.policy.permission.unit import Unit
from gateway.policy.reasons import Reason
from gateway.policy.writing.binary_owner import (
    BINARY,
    NO_BUNDLE,
    BundleFacts,
    WrittenBinary,
    find_owner,
    find_owner_to_look_up,
    owning_units,
    version_criteria,
)
from gateway.policy.writing.kept_labels import carry_labels, has_kept_labels, keeps_rule_labels
from gateway.policy.writing.own_reach import extends_reach
from gateway.policy.writing.permitting_units import changing_units, is_readable
from gateway.policy.writing.reference_rules import find_reference_needs, leads_inside, refuse_reference_forms
from gateway.policy.writing.unread_patch import read_unread_patch, set_elements
from gateway.policy.writing.written_state import is_lasting, keeps_labels, may_be_made, may_change

# What the server sets, whatever the client says.
_SERVER_META = frozenset({"versionId", "lastUpdated"})
# By these a constraint can be satisfied by a write that changes nothing else.
_SET_BY_SERVER = frozenset({"_lastUpdated", "_source"})


@dataclass(frozen=True, slots=True)
class StoredState:
    """The current version of a resource, as the FHIR server gave it. `text` is JSON with each member once.

    `owner_record` is what the securityContext of a Binary names, where that had to be looked up.
    """

    resource: Mapping[str, Any]
    text: bytes
    version: ResourceVersion
    owner_record: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class NewState:
    """A resource as it is to be stored: what is judged, the bytes that are sent, and the `units` that permit it."""

    resource: Mapping[str, Any]
    text: bytes
    references: tuple[WrittenReference, ...]
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class JudgedWrite:
    """A write that `units` permit, provided that all `references` lead into the reach of one of them.

    The `records` have to be looked up for that. With `is_untied` nothing keeps the server from changing another state
    than the one that was judged, and the operator accepts that. `binary` is set for the new state of a Binary.
    """

    request: UpstreamWrite
    units: tuple[Unit, ...]
    records: tuple[Reference, ...] = ()
    references: tuple[Reference, ...] = ()
    is_untied: bool = False
    binary: WrittenBinary | None = None


def prepare_content(
    allow: AllowWrite, content: WrittenResource, *, elements: Iterable[str] | None = None
) -> NewState | Deny:
    """The state that the server will store, as far as the client decides it; the refusal of one that no unit permits.

    `elements` are those that come from the client, whose references are judged; None for all.

    It comes before anything is asked for, so that a refusal tells nothing of what is stored. The server sets version
    and time, and the id of a create, so that what the client says of them is left out: it must not count for a
    constraint.
    """
    bases, content = allow.grant.rules.bases, _without_server_elements(content, allow.write.kind)
    if any(base.encode() in content.text for base in bases):
        content = encode_resource(relativize_written_references(content.tree, bases))
    resource = content.judged
    if elements is None:
        references = list_written_references(content.text, resource, bases)
    else:
        references = tuple(find_written_references({name: resource.get(name) for name in elements}, bases))
    refusal = refuse_reference_forms(references, allow.permission.units)
    if refusal is not None:
        return refusal
    units = changing_units(allow.permission, resource)
    return NewState(resource, content.text, references, units) if units else Deny(Reason.WRITE_OUT_OF_REACH)


def _without_server_elements(content: WrittenResource, kind: WriteKind) -> WrittenResource:
    meta = content.tree.get("meta")
    has_meta = isinstance(meta, dict) and (not meta or not _SERVER_META.isdisjoint(meta))
    has_id = kind is WriteKind.CREATE and "id" in content.tree
    if not has_meta and not has_id:
        return content
    tree = dict(content.tree)
    if has_id:
        del tree["id"]
    if has_meta:
        tree["meta"] = {name: value for name, value in tree["meta"].items() if name not in _SERVER_META}
        if not tree["meta"]:
            del tree["meta"]
    return encode_resource(tree)


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
        return _judge_delete(allow, stored, units)
    return _judge_change(allow, content, stored, units)


def finish_write(
    judged: JudgedWrite, records: Mapping[Reference, Mapping[str, Any] | None], bundle: BundleFacts = NO_BUNDLE
) -> UpstreamWrite | Deny:
    """What is sent. `records` are those that were looked up; None for one that does not exist."""
    for unit in judged.units:
        if all(leads_inside(reference, unit, records, bundle.new_binaries) for reference in judged.references) and (
            judged.binary is None or judged.binary.belongs_to(unit, records, bundle)
        ):
            return judged.request
    return Deny(Reason.REFERENCE_OUT_OF_REACH if judged.binary is None else Reason.BINARY_NOT_VOUCHED)


def was_overtaken(judged: JudgedWrite, state: StoredState | None) -> bool:
    """Whether the state behind an untied write is one that its units would not have made: somebody wrote in between."""
    if judged.request.method == "DELETE":
        return state is not None
    return state is None or not any(may_change(unit, state.resource) for unit in judged.units)


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
    judged = _with_references(_build_request(write, None, new.text), units, new, allow, known=None, is_new=True)
    is_untied = is_update_as_create and not any(unit.covers_whole_type for unit in units)
    return replace(judged, is_untied=True) if is_untied and isinstance(judged, JudgedWrite) else judged


def _judge_delete(allow: AllowWrite, stored: StoredState, units: tuple[Unit, ...]) -> JudgedWrite | Deny:
    """A delete is tied to what was checked by criteria, since common servers ignore `If-Match` on it (hapi.md)."""
    request = _build_request(allow.write, stored.version)
    if any(is_lasting(unit, allow.write.resource_type) for unit in units):
        return JudgedWrite(request, units)
    is_binary = allow.write.resource_type == BINARY
    criteria = version_criteria(allow, stored.version) if is_binary else _delete_criteria(allow, stored.resource)
    if criteria:
        return JudgedWrite(replace(request, path=f"/{allow.write.resource_type}", query=criteria), units)
    if allow.grant.rules.writes.accept_races:
        return JudgedWrite(request, units, is_untied=True)
    return Deny(Reason.RACE_NOT_EXCLUDED)


def find_delete_criteria(allow: AllowWrite) -> str:
    """The criteria that find the resource of a delete if the token may delete it, before anything of it is known.

    Empty if it is not deleted by criteria.
    """
    write = allow.write
    is_by_criteria = write.kind is WriteKind.DELETE and write.id is not None and write.resource_type != BINARY
    if not is_by_criteria or not allow.narrowing:
        return ""
    if any(is_lasting(unit, write.resource_type) for unit in allow.permission.units):
        return ""
    return encode_pairs(tuple(dict.fromkeys((("_id", str(write.id)), *allow.narrowing))))


def _delete_criteria(allow: AllowWrite, resource: Mapping[str, Any]) -> str:
    """The criteria that find the one resource of a delete, as long as the token may delete it; empty if none do.

    A search by the narrowing finds no resource that only mentions the patient. Of several patients whom the token
    reaches, the criteria name those of the resource.
    """
    rules, resource_type = allow.grant.rules, allow.write.resource_type
    pairs = [("_id", str(allow.write.id))]
    for name, value in allow.narrowing:
        met = [
            one
            for one in split_alternatives(value)
            if compile_criterion(resource_type, name, None, one, rules.bases).matches(resource)
        ]
        if not met:
            return ""
        pairs.append((name, ",".join(met)))
    return encode_pairs(tuple(dict.fromkeys(pairs))) if allow.narrowing else ""


def _judge_change(
    allow: AllowWrite, content: NewState | JsonPatch | None, stored: StoredState, units: tuple[Unit, ...]
) -> JudgedWrite | Deny:
    new = _apply(content, allow, stored) if isinstance(content, JsonPatch) else _carry(content, allow, stored, units)
    if not isinstance(new, NewState):
        return Deny(Reason.OUT_OF_REACH) if new is None else new
    both = tuple(unit for unit in units if unit in new.units)
    if not both:
        return Deny(Reason.WRITE_OUT_OF_REACH)
    permitting = tuple(unit for unit in both if keeps_labels(unit, stored.resource, new.resource))
    if not permitting or not _keeps_rule_labels(stored, new, allow):
        return Deny(Reason.LABELS_CHANGED)
    is_readable_now = _may_read(stored.resource, allow)
    is_known = isinstance(content, JsonPatch) or is_readable_now
    if extends_reach(new.resource, stored.resource if is_known else None, allow):
        return Deny(Reason.REACH_EXTENDED)
    is_safe = stored.version.version_id is not None or any(
        is_lasting(unit, allow.write.resource_type) for unit in permitting
    )
    if not is_safe and not allow.grant.rules.writes.accept_races:
        return Deny(Reason.VERSION_UNKNOWN)
    request = _build_request(allow.write, stored.version, new.text)
    judged = _with_references(request, permitting, new, allow, known=stored if is_readable_now else None, is_new=False)
    return judged if is_safe or isinstance(judged, Deny) else replace(judged, is_untied=True)


def _apply(patch: JsonPatch, allow: AllowWrite, stored: StoredState) -> NewState | Deny:
    if not _may_read(stored.resource, allow):
        return _apply_unread(patch, allow, stored)
    return prepare_content(allow, parse_resource(apply_patch(patch, decode_stored(stored.text)), allow.write))


def _apply_unread(patch: JsonPatch, allow: AllowWrite, stored: StoredState) -> NewState | Deny:
    elements = read_unread_patch(patch, allow) if allow.grant.rules.writes.patch_unread else None
    if elements is None:
        return Deny(Reason.PATCH_TEST_REFUSED)
    patched = encode_resource(set_elements(decode_stored(stored.text), elements))
    new = prepare_content(allow, patched, elements=elements)
    if isinstance(new, NewState) and _may_become_readable(new.resource, allow):
        # What the patch leaves as it was would become readable.
        return Deny(Reason.WRITE_OUT_OF_REACH)
    return new


def _carry(
    new: NewState | None, allow: AllowWrite, stored: StoredState, units: tuple[Unit, ...]
) -> NewState | Deny | None:
    """The new state with the labels that have to stay, if the token may not read the record and so cannot keep them."""
    grant = allow.grant
    if new is None or not has_kept_labels(units, grant) or _may_read(stored.resource, allow):
        return new
    if _may_become_readable(new.resource, allow):
        # The labels would become readable.
        return Deny(Reason.WRITE_OUT_OF_REACH)
    tree = carry_labels(decode_stored(new.text), stored.resource, units, grant)
    return prepare_content(allow, encode_resource(tree))


def _keeps_rule_labels(stored: StoredState, new: NewState, allow: AllowWrite) -> bool:
    """Whether the labels of rules stay; those of a record that the token may not read were carried over."""
    return keeps_rule_labels(stored.resource, new.resource, allow.grant) or not _may_read(stored.resource, allow)


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
    rules = allow.grant.rules
    known_resource, known_text = (None, b"") if known is None else (known.resource, known.text)
    needs = find_reference_needs(new.resource, new.references, known_resource, units, rules, known_text)
    if isinstance(needs, Deny):
        return needs
    judged = JudgedWrite(request, units, needs.records, needs.references)
    return _with_owner(judged, new, allow, is_new=is_new) if allow.write.resource_type == BINARY else judged


def _with_owner(judged: JudgedWrite, new: NewState, allow: AllowWrite, *, is_new: bool) -> JudgedWrite:
    rules = allow.grant.rules
    unknown = find_owner_to_look_up(new.resource, allow.permission, rules)
    records = judged.records if unknown is None else tuple(dict.fromkeys((*judged.records, unknown)))
    is_free = is_new and "securityContext" not in new.resource
    return replace(judged, records=records, binary=WrittenBinary(find_owner(new.resource, rules), is_free))


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


def _build_request(write: Write, version: ResourceVersion | None, body: bytes = b"") -> UpstreamWrite:
    """The request. A patch is sent as the resource that was judged, so that nothing else can come of it."""
    if write.id is None:
        return UpstreamWrite("POST", f"/{write.resource_type}", body=body)
    path = f"/{write.resource_type}/{write.id}"
    if write.kind is WriteKind.DELETE:
        return UpstreamWrite("DELETE", path, if_match=None if version is None else version.version_id)
    if version is None:
        return UpstreamWrite("PUT", path, body=body, if_none_match=True)
    return UpstreamWrite("PUT", path, body=body, if_match=version.version_id)


def _may_become_readable(resource: Mapping[str, Any], allow: AllowWrite) -> bool:
    """Whether the token may read the resource once it is written: the server sets its time, and some its source."""
    units = allow.grant.read_or_search_permission(allow.write.resource_type).units
    return any(
        replace(unit, criteria=tuple(one for one in unit.criteria if one.parameter.name not in _SET_BY_SERVER)).permits(
            resource
        )
        for unit in units
    )


def _may_read(resource: Mapping[str, Any], allow: AllowWrite) -> bool:
    return is_readable(allow.grant.read_or_search_permission(allow.write.resource_type), resource)
