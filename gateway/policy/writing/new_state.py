"""A resource as it is to be stored: judged before anything is asked for."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from gateway.fhir.request.content import WrittenResource, encode_resource
from gateway.fhir.request.interaction import WriteKind
from gateway.fhir.resources.written_references import (
    WrittenReference,
    find_written_references,
    list_written_references,
    relativize_written_references,
)
from gateway.policy.decision_types import AllowWrite, Deny
from gateway.policy.permission.unit import Unit
from gateway.policy.reasons import Reason
from gateway.policy.writing.permitting_units import changing_units
from gateway.policy.writing.reference_rules import refuse_reference_forms

# What the server sets, whatever the client says.
_SERVER_META = frozenset({"versionId", "lastUpdated"})


class NewState(msgspec.Struct, frozen=True, gc=False):
    """A resource as it is to be stored: what is judged, the bytes that are sent, and the `units` that permit it."""

    resource: Mapping[str, Any]
    text: bytes
    references: tuple[WrittenReference, ...]
    units: tuple[Unit, ...]


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
    if any(base in content.text for base in _encode(bases)):
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


# The bases of a gateway are always the same.
@lru_cache(16)
def _encode(bases: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(base.encode() for base in bases)


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
