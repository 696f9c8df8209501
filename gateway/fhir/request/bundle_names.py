"""The names by which entries of a transaction refer to each other (`fullUrl` with `urn:`, R4 http.html 3.1.0.11.2)."""

import re
from collections.abc import Mapping
from typing import Any

from gateway.fhir.reference import iterate_objects
from gateway.fhir.request.content import JsonPatch, WrittenContent, WrittenResource, encode_resource

_BINARY = "Binary/"
# In the bytes of a resource, in any case of letters: the beginning of a member's value.
_URN = b'":"urn:'
_NAME = re.compile(r"urn:(?:uuid|oid):[A-Za-z0-9.\-]+")


class UnknownNameError(Exception):
    """A body refers to an entry that there is not."""


def is_name(full_url: str) -> bool:
    """Whether the text is a name that other entries can refer to."""
    return _NAME.fullmatch(full_url) is not None


def resolve_names(content: WrittenContent | None, names: Mapping[str, str]) -> WrittenContent | None:
    """The content with a reference of `names` in place of each name. Raises `UnknownNameError`.

    An Attachment names a Binary by its `url`; what else is a `url` stays as it is.
    """
    match content:
        case WrittenResource(tree, text):
            return encode_resource(_resolve(tree, names)) if _URN in text.lower() else content
        case JsonPatch(operations):
            return JsonPatch(tuple(_resolve(operation, names) for operation in operations))
        case None:
            return None


def names_binary(tree: Any, names: Mapping[str, str]) -> bool:
    """Whether a `url` is the name of a Binary, in whatever letters, which a server may read in either case."""
    binaries = {name.lower() for name, reference in names.items() if reference.startswith(_BINARY)}
    return any(isinstance(url := value.get("url"), str) and url.lower() in binaries for value in iterate_objects(tree))


def _resolve(tree: Any, names: Mapping[str, str]) -> Any:
    if isinstance(tree, list):
        return [_resolve(item, names) for item in tree]
    if not isinstance(tree, Mapping):
        return tree
    resolved = {name: _resolve(value, names) for name, value in tree.items()}
    reference = tree.get("reference")
    if isinstance(reference, str) and reference[:4].lower() == "urn:":
        if reference not in names:
            raise UnknownNameError
        resolved["reference"] = names[reference]
    url = tree.get("url")
    if isinstance(url, str) and url[:4].lower() == "urn:":
        if names.get(url, "").startswith(_BINARY):
            resolved["url"] = names[url]
        elif names_binary({"url": url}, names):
            raise UnknownNameError
    return resolved
