"""References between resources: parsing of `Reference.reference` strings."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

ID_PATTERN = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_RELATIVE_REFERENCE = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?")


@dataclass(frozen=True, slots=True)
class Reference:
    """A literal reference to a resource of the FHIR server (FHIR R4, References 2.3.0.1)."""

    resource_type: str
    id: str
    version_id: str | None = None

    def __str__(self) -> str:
        history = f"/_history/{self.version_id}" if self.version_id else ""
        return f"{self.resource_type}/{self.id}{history}"


def parse_reference(text: str, bases: Sequence[str] = ()) -> Reference | None:
    """The resource that `text` refers to, or None if it is not a resource of the FHIR server.

    `bases` are the base URLs of the FHIR server, without trailing slash: the public one and the internal one. Contained
    (`#x`), `urn:` and foreign absolute references return None, so they never prove membership of a compartment.
    """
    match = _RELATIVE_REFERENCE.fullmatch(text)
    if match is None:
        for base in bases:
            if text.startswith(base) and text[len(base) : len(base) + 1] == "/":
                match = _RELATIVE_REFERENCE.fullmatch(text, len(base) + 1)
            if match is not None:  # one base URL can be a prefix of the other
                break
    if match is None or match[2] in {".", ".."}:
        return None
    return Reference(match[1], match[2], match[3])


def iterate_objects(tree: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in `tree`, at any depth."""
    pending = [tree]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            pending.extend(value.values())
            yield value


def find_references(value: Any, bases: Sequence[str]) -> Iterator[Reference]:
    """The references in an element of type Reference, single or repeating. `bases` as in `parse_reference`."""
    for element in value if isinstance(value, list) else [value]:
        text = element.get("reference") if isinstance(element, dict) else None
        reference = parse_reference(text, bases) if isinstance(text, str) else None
        if reference is not None:
            yield reference
