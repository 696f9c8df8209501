"""The references in a body that a client wrote, classified by what a server can make of them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Any

from gateway.fhir.reference import Reference, iterate_objects, parse_reference
from gateway.scopes.resource_types import RESOURCE_TYPES

_URN = re.compile(r"urn:(?:uuid|oid):[A-Za-z0-9.\-]+")
_FRAGMENT = re.compile(r"#[A-Za-z0-9\-.]{0,64}")
_ABSOLUTE = re.compile(r"https?://[!-~]+/([A-Z][A-Za-z]{1,63})/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?")


_LENGTH = len("reference")
_NAME = b'"reference":'
# In bytes.
_MAX_CACHED = 256
# A reference that has nothing but its type, which is found with its quotation marks, and its text beside it.
_PLAIN = re.compile(rb'\{"reference":"([^"\\]*)"(?:,"type":("[^"\\]*"))?(?:,"display":"[^"\\]*(?:\\.[^"\\]*)*")?\}')


class ReferenceForm(Enum):
    """How a reference is written.

    LOCAL: it names a resource of the FHIR server. ELSEWHERE: contained, `urn:`, or on another server. CRITERIA: a
    search, which servers resolve on any write (hapi.md B9). UNCLEAR: one server may read it otherwise than another.
    """

    LOCAL = auto()
    ELSEWHERE = auto()
    CRITERIA = auto()
    UNCLEAR = auto()


@dataclass(frozen=True, slots=True)
class WrittenReference:
    """A reference in a body. `target` is set for LOCAL; `foreign_type` is the type of a resource of another server."""

    form: ReferenceForm
    target: Reference | None = None
    foreign_type: str | None = None


def list_written_references(text: bytes, tree: Any, bases: Sequence[str]) -> tuple[WrittenReference, ...]:
    """As `find_written_references`, each reference once. `text` is the tree as it is encoded for the FHIR server.

    An encoder escapes no letter, so that the name of a member is found by its bytes. Where all references are written
    plainly, the rest of the tree need not be looked at, which takes a tenth of the time. A string of JSON has no
    quotation mark in it that is not escaped, so that no brace before one is a part of a string.
    """
    plain = _PLAIN.findall(text)
    if b"Binary/" in text or text.lower().count(_NAME) != len(plain):
        return tuple(dict.fromkeys(find_written_references(tree, bases)))
    return tuple(
        (_classify_cached if len(reference) + len(stated_type) <= _MAX_CACHED else _classify_bytes)(
            reference, stated_type, tuple(bases)
        )
        for reference, stated_type in dict.fromkeys(plain)
    )


def _classify_bytes(text: bytes, stated_type: bytes, bases: tuple[str, ...]) -> WrittenReference:
    """The type is in quotation marks, or empty if none is stated."""
    return _classify(text.decode(), stated_type[1:-1].decode() if stated_type else None, bases)


# Records name few others, again and again.
_classify_cached = lru_cache(4096)(_classify_bytes)


def find_written_references(tree: Any, bases: Sequence[str]) -> Iterator[WrittenReference]:
    """Every reference below `tree`, at any depth. `bases` as in `parse_reference`.

    An Attachment that points at a Binary counts as a reference to it: by that the record vouches for the Binary
    (enforcement.md 2).
    """
    for value in iterate_objects(tree):
        if "reference" in value and not isinstance(value["reference"], dict):
            yield _classify(value["reference"], value.get("type"), bases)
        if any(len(name) == _LENGTH and name != "reference" and name.lower() == "reference" for name in value):
            # A server that reads names in any case would take it for the reference.
            yield WrittenReference(ReferenceForm.UNCLEAR)
        if any(name.lower() == "url" and name != "url" and _find_binary(value[name], bases) for name in value):
            yield WrittenReference(ReferenceForm.UNCLEAR)
        binary = _find_binary(value.get("url"), bases)
        if binary is not None:
            yield WrittenReference(ReferenceForm.LOCAL, binary)


def find_attached_binaries(tree: Any, bases: Sequence[str]) -> Iterator[tuple[tuple[str, ...], Reference]]:
    """Every Binary at which an Attachment below `tree` points, with its version and the names of the elements above.

    The place matters: only in some elements does an Attachment vouch for a Binary.
    """
    pending: list[tuple[tuple[str, ...], Any]] = [((), tree)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, list):
            pending.extend((path, item) for item in value)
        elif isinstance(value, Mapping):
            pending.extend(((*path, name), member) for name, member in value.items())
            binary = _find_binary(value.get("url"), bases)
            if binary is not None:
                yield path, binary


def relativize_written_references(tree: Any, bases: Sequence[str]) -> Any:
    """The tree with relative references for those under `bases`, which servers take for foreign ones (HAPI-0507)."""
    if isinstance(tree, list):
        return [relativize_written_references(item, bases) for item in tree]
    if not isinstance(tree, Mapping):
        return tree
    changed = {name: relativize_written_references(value, bases) for name, value in tree.items()}
    reference = _parse_absolute(tree.get("reference"), bases)
    if reference is not None:
        changed["reference"] = str(reference)
    binary = _parse_absolute(tree.get("url"), bases)
    if binary is not None and binary.resource_type == "Binary":
        changed["url"] = str(binary)
    return changed


def _parse_absolute(text: Any, bases: Sequence[str]) -> Reference | None:
    is_absolute = isinstance(text, str) and any(text.startswith(f"{base}/") for base in bases)
    return parse_reference(text, bases) if is_absolute else None


def _classify(text: Any, stated_type: Any, bases: Sequence[str]) -> WrittenReference:
    if not isinstance(text, str):
        return WrittenReference(ReferenceForm.UNCLEAR)
    if "?" in text:
        return WrittenReference(ReferenceForm.CRITERIA)
    if _FRAGMENT.fullmatch(text) or _URN.fullmatch(text):
        return WrittenReference(ReferenceForm.ELSEWHERE)
    target = parse_reference(text, bases)
    if target is not None:
        is_clear = target.resource_type in RESOURCE_TYPES and stated_type in (None, target.resource_type)
        return WrittenReference(ReferenceForm.LOCAL, target) if is_clear else WrittenReference(ReferenceForm.UNCLEAR)
    match = _ABSOLUTE.fullmatch(text)
    if match is not None and match[1] in RESOURCE_TYPES:
        return WrittenReference(ReferenceForm.ELSEWHERE, foreign_type=match[1])
    return WrittenReference(ReferenceForm.UNCLEAR)


def _find_binary(text: Any, bases: Sequence[str]) -> Reference | None:
    reference = parse_reference(text, bases) if isinstance(text, str) else None
    return reference if reference is not None and reference.resource_type == "Binary" else None
