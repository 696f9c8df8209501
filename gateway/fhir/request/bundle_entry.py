"""The request of one entry of a batch or transaction, as it would be sent by itself (R4 http.html 3.1.0.11.3)."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.fhir.reference import iterate_objects
from gateway.fhir.request.content import encode_tree
from gateway.fhir.request.interaction import BundleRequest
from gateway.fhir.request.path import PathShape, parse_path
from gateway.fhir.request_error import RequestError, RequestProblem

_FHIR_JSON = b"application/fhir+json"
# A Bundle in a Bundle, and exports: they are asked for by a header of their own request.
_SHAPES_OF_THEIR_OWN = frozenset(
    {
        PathShape.SYSTEM_EXPORT,
        PathShape.PATIENT_EXPORT,
        PathShape.GROUP_EXPORT,
        PathShape.EXPORT_STATUS,
        PathShape.EXPORT_FILE,
    }
)


@dataclass(frozen=True, slots=True)
class EntryTarget:
    """Path and query of an entry below the FHIR base, as in `parse_request`."""

    path: bytes
    query: bytes


def read_target(entry: BundleRequest, public_base: str) -> EntryTarget:
    """The target of an entry, whose URL is relative to the base or below it. Raises `RequestError` (path_malformed)."""
    url = entry.url
    if url.startswith(public_base) and url[len(public_base) : len(public_base) + 1] in {"", "/", "?"}:
        url = url[len(public_base) :]
    elif "://" in url.partition("?")[0]:
        raise RequestError(RequestProblem.PATH_MALFORMED, "request.url", "It is no URL of this server.")
    if "#" in url:
        raise RequestError(RequestProblem.PATH_MALFORMED, "request.url", "It has a fragment.")
    if url[:1] not in {"", "/", "?"}:
        url = f"/{url}"
    path, _, query = url.encode("utf-8", "replace").partition(b"?")
    return EntryTarget(path, query)


def may_be_entry(method: str, target: EntryTarget) -> bool:
    """Whether such a request can stand in a Bundle. Raises `RequestError` for a path that is not FHIR's."""
    if method == "GET" and b"$" not in target.path:
        return True
    shape = parse_path(target.path).shape
    return shape not in _SHAPES_OF_THEIR_OWN and not (shape is PathShape.BASE and method == "POST")


def read_entry_body(entry: BundleRequest) -> tuple[bytes, bytes]:
    """The media type and the body of an entry; both empty if it has none. A patch stands in a Binary.

    Raises `RequestError` (body_malformed).
    """
    resource = entry.resource
    if resource is None:
        return b"", b""
    if entry.method != "PATCH" or resource.get("resourceType") != "Binary":
        return _FHIR_JSON, encode_tree(resource)
    content_type, data = resource.get("contentType"), resource.get("data")
    if not isinstance(content_type, str) or not isinstance(data, str):
        raise RequestError(RequestProblem.BODY_MALFORMED, "Binary")
    try:
        return content_type.encode("latin-1", "replace"), base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(RequestProblem.BODY_MALFORMED, "Binary.data") from error


def names_entry(tree: Any, names: frozenset[str]) -> bool:
    """Whether a reference, or the `url` of an Attachment, is one of the names, which are in lower case."""
    return any(
        isinstance(text, str) and text.lower() in names
        for value in iterate_objects(tree)
        for text in (value.get("reference"), value.get("url"))
    )


def find_urns(tree: Any) -> Iterator[str]:
    """Every `urn:` reference below `tree`: by these, entries of a transaction name each other."""
    for value in iterate_objects(tree):
        reference = value.get("reference")
        if isinstance(reference, str) and reference[:4].lower() == "urn:":
            yield reference
