"""References between resources: which resource a `reference` string names, if it is one of this server's."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_LITERAL = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?")


@dataclass(frozen=True, slots=True)
class Reference:
    """A literal reference to a resource of this server (FHIR R4, References 2.3.0.1)."""

    resource_type: str
    id: str
    version_id: str | None = None

    def __str__(self) -> str:
        history = f"/_history/{self.version_id}" if self.version_id else ""
        return f"{self.resource_type}/{self.id}{history}"


def parse_reference(text: str, bases: Sequence[str] = ()) -> Reference | None:
    """The resource that `text` names, or None where it names none of ours.

    `bases` are the absolute base URLs, without trailing slash, under which our resources are known (the public one
    and the upstream's). Contained (`#x`), `urn:` and foreign absolute references are None: they never prove membership.
    """
    match = _LITERAL.fullmatch(text)
    if match is None:
        for base in bases:
            if text.startswith(base) and text[len(base) : len(base) + 1] == "/":
                match = _LITERAL.fullmatch(text, len(base) + 1)
            if match is not None:  # one base may lie under the other
                break
    if match is None or match[2] in {".", ".."}:
        return None
    return Reference(match[1], match[2], match[3])


def references_in(value: Any, bases: Sequence[str]) -> Iterator[Reference]:
    """Our resources that an element of type Reference names, be it one or a list; `bases` as in `parse_reference`."""
    for one in value if isinstance(value, list) else [value]:
        text = one.get("reference") if isinstance(one, dict) else None
        reference = parse_reference(text, bases) if isinstance(text, str) else None
        if reference is not None:
            yield reference
