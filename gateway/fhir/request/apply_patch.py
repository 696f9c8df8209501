"""Applies a JSON Patch to a resource (RFC 6902), within bounds of size and work."""

from collections.abc import Mapping
from typing import Any

from jsonpatch import InvalidJsonPatch, JsonPatchException
from jsonpatch import JsonPatch as Operations
from jsonpointer import JsonPointer, JsonPointerException

from gateway.fhir.request.content import JsonPatch, check_depth, encode_tree
from gateway.fhir.request_error import RequestError, RequestProblem

# Each `copy` can double what it copies, so that all of them together have a bound.
_MAX_COPIED_BYTES = 4 * 1024 * 1024


def apply_patch(patch: JsonPatch, document: Any) -> Any:
    """The patched document; `document` itself may be changed.

    Which operation failed is not said: to a client that may not read the resource it would tell of its content. Raises
    `RequestError` (patch_malformed, patch_not_applicable, request_too_large, body_too_deep).
    """
    copied = 0
    try:
        for operation in patch.operations:
            if operation.get("op") == "copy":
                copied += _measure(operation, document)
                if copied > _MAX_COPIED_BYTES:
                    raise RequestError(RequestProblem.REQUEST_TOO_LARGE, "body")
            document = _apply(operation, document)
        check_depth(document)
    except RecursionError as error:
        raise RequestError(RequestProblem.BODY_TOO_DEEP) from error
    return document


def _measure(operation: Mapping[str, Any], document: Any) -> int:
    """The bytes that a `copy` adds; 0 if there is nothing to copy, which the operation itself finds out."""
    try:
        return len(encode_tree(JsonPointer(operation["from"]).resolve(document)))
    except (JsonPointerException, TypeError, LookupError, AttributeError):
        return 0


def _apply(operation: Mapping[str, Any], document: Any) -> Any:
    try:
        return Operations([dict(operation)]).apply(document, in_place=True)
    except InvalidJsonPatch as error:
        raise RequestError(RequestProblem.PATCH_MALFORMED) from error
    except (JsonPatchException, JsonPointerException) as error:
        raise RequestError(RequestProblem.PATCH_NOT_APPLICABLE) from error
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise RequestError(RequestProblem.PATCH_MALFORMED) from error
