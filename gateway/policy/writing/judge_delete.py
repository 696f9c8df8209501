"""Judges a delete: by which criteria it deletes this record as long as it is what was checked."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.fhir.matching.criterion import compile_criterion
from gateway.fhir.matching.value_syntax import split_alternatives
from gateway.fhir.request.interaction import WriteKind
from gateway.fhir.search.query import encode_pairs
from gateway.policy.decision_types import AllowWrite, Deny
from gateway.policy.permission.unit import Unit
from gateway.policy.reasons import Reason
from gateway.policy.writing.binary_owner import BINARY, version_criteria
from gateway.policy.writing.build_write import build_write
from gateway.policy.writing.judged_write import JudgedWrite
from gateway.policy.writing.stored_state import StoredState
from gateway.policy.writing.written_state import is_lasting


def judge_delete(allow: AllowWrite, stored: StoredState, units: tuple[Unit, ...]) -> JudgedWrite | Deny:
    """A delete is tied to what was checked by criteria, since common servers ignore `If-Match` on it (hapi.md)."""
    request = build_write(allow.write, stored.version)
    if any(is_lasting(unit, allow.write.resource_type) for unit in units):
        return JudgedWrite(request, units)
    is_binary = allow.write.resource_type == BINARY
    criteria = version_criteria(allow, stored.version) if is_binary else _delete_criteria(allow, stored.resource)
    if criteria:
        return JudgedWrite(
            msgspec.structs.replace(request, path=f"/{allow.write.resource_type}", query=criteria), units
        )
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
