"""A JSON Patch of a record that the token may not read: it does the same whatever is stored, so that it tells nothing.

RFC 6902 lets a patch fail where what it names is not there. So there are whole elements only, which `add` and `replace`
set and `remove` leaves out, whether or not they were there, and none on which depends what the token may do.
"""

import re
from collections.abc import Mapping
from typing import Any

from gateway.fhir.request.content import JsonPatch, parse_resource
from gateway.fhir.request.interaction import Write
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.policy.decision_types import AllowWrite
from gateway.policy.writing.own_reach import reach_records

_ELEMENT = re.compile(r"/(_?[A-Za-z][A-Za-z0-9]{0,63})")
_SETS = frozenset({"add", "replace"})
_KNOWN = frozenset({"add", "remove", "replace", "move", "copy", "test"})
# By these the resource is found, judged and versioned.
_NEVER = frozenset({"resourcetype", "id", "meta", "contained"})


def read_unread_patch(patch: JsonPatch, allow: AllowWrite) -> Mapping[str, Any] | None:
    """The elements that the patch sets, None for one that it leaves out. None if its outcome would tell of the rest.

    Raises `RequestError` for what is no patch, and for elements that no resource has.
    """
    elements: dict[str, Any] = {}
    decisive = _NEVER | {name.lower() for name in _decisive_elements(allow)}
    for operation in patch.operations:
        kind, path = operation.get("op"), operation.get("path")
        if kind not in _KNOWN or not isinstance(path, str) or (kind in _SETS and "value" not in operation):
            raise RequestError(RequestProblem.PATCH_MALFORMED)
        match = _ELEMENT.fullmatch(path)
        is_total = kind in _SETS or kind == "remove"
        if match is None or not is_total or match[1].lstrip("_").lower() in decisive:
            return None
        elements[match[1]] = operation["value"] if kind in _SETS else None
    _check_elements(elements, allow.write)
    return elements


def set_elements(tree: Mapping[str, Any], elements: Mapping[str, Any]) -> dict[str, Any]:
    """The resource with the elements set. A name in other letters is the same, so that none can collide."""
    names = {name.lower() for name in elements}
    kept = {name: value for name, value in tree.items() if name.lower() not in names}
    return {**kept, **{name: value for name, value in elements.items() if value is not None}}


def _check_elements(elements: Mapping[str, Any], write: Write) -> None:
    alone = {"resourceType": write.resource_type, "id": write.id}
    parse_resource({**alone, **{name: value for name, value in elements.items() if value is not None}}, write)


def _decisive_elements(allow: AllowWrite) -> frozenset[str]:
    """The elements by which is judged whether the token may change the record, or read it."""
    readable = allow.grant.read_or_search_permission(allow.write.resource_type)
    of_reach = (record.elements for record in reach_records(allow))
    return readable.elements.union(allow.permission.changing_elements, *of_reach)
