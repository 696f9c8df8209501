"""The attachments by which a record points at Binaries, and so vouches for them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from gateway.fhir.reference import Reference, parse_reference
from gateway.fhir.resources.resource import Members, decode_member, read_type

# The element with the attachments, and the element within it where that is no Attachment itself (R4).
_ELEMENTS: Mapping[str, tuple[str, str | None]] = MappingProxyType(
    {
        "DiagnosticReport": ("presentedForm", None),
        "DocumentReference": ("content", "attachment"),
        "Media": ("content", None),
    }
)


def has_attachment(members: Members, names: Collection[Reference], bases: Sequence[str]) -> bool:
    """Whether the record has an attachment of one of these names. Raises `MalformedResourceError`."""
    element, part = _ELEMENTS.get(read_type(members) or "", ("", None))
    if element not in members:
        return False
    attachments = _list_attachments(decode_member(members[element]), part)
    return any(isinstance(url, str) and parse_reference(url, bases) in names for url in attachments)


def _list_attachments(value: Any, part: str | None) -> Iterator[Any]:
    """The `url` of each attachment."""
    for one in value if isinstance(value, list) else [value]:
        attachment = one.get(part) if part is not None and isinstance(one, dict) else one
        if isinstance(attachment, dict):
            yield attachment.get("url")
