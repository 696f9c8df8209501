"""The launch context: read from launchers, and written into token responses (checklist LC-1..LC-22)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from gateway.fhir.reference import ID_PATTERN, parse_reference
from gateway.scopes.resource_types import RESOURCE_TYPES

MAX_FHIR_CONTEXT = 50
MAX_TEXT = 2048
# EX-1: a parameter that SMART does not define is a full URI or begins with two underscores.
_EXTENSION_NAME = re.compile(r"__[A-Za-z0-9_.\-]{1,100}|https?://[!-~]{3,200}")
_CANONICAL = re.compile(r"[a-z][a-z0-9+.\-]*:[!-~]+")
_TEXT_MEMBERS = {
    "intent": "intent",
    "smart_style_url": "smart_style_url",
    "tenant": "tenant",
    "appContext": "app_context",
}


class LaunchContextError(Exception):
    """The launch context is not valid. `problems` has a sentence for each problem, with its path."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class LaunchContext:
    """A launch context. `patient` and `encounter` are bare ids; `extra` has parameters that SMART does not define."""

    patient: str | None = None
    encounter: str | None = None
    fhir_context: tuple[Mapping[str, Any], ...] = ()
    need_patient_banner: bool | None = None
    intent: str | None = None
    smart_style_url: str | None = None
    tenant: str | None = None
    app_context: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def parameters(self) -> dict[str, Any]:
        """The context parameters of a token response, without absent ones (edge cases 32, 36, 141)."""
        members: dict[str, Any] = {
            "patient": self.patient,
            "encounter": self.encounter,
            "fhirContext": list(self.fhir_context) or None,
            "need_patient_banner": self.need_patient_banner,
            **{parameter: getattr(self, name) for parameter, name in _TEXT_MEMBERS.items()},
            **self.extra,
        }
        return {name: value for name, value in members.items() if value is not None}


def read_launch_context(members: Mapping[str, Any]) -> LaunchContext:
    """The context in the JSON of a launcher, with the names of the token response. Raises `LaunchContextError`."""
    problems = tuple(_find_problems(members))
    if problems:
        raise LaunchContextError(problems)
    return LaunchContext(
        patient=members.get("patient"),
        encounter=members.get("encounter"),
        fhir_context=tuple(dict(item) for item in members.get("fhirContext") or ()),
        need_patient_banner=members.get("need_patient_banner"),
        **{name: members.get(parameter) for parameter, name in _TEXT_MEMBERS.items()},
        extra={name: value for name, value in members.items() if _EXTENSION_NAME.fullmatch(name)},
    )


def _find_problems(members: Mapping[str, Any]) -> Iterator[str]:
    defined = {"patient", "encounter", "fhirContext", "need_patient_banner", *_TEXT_MEMBERS}
    assert len(defined) == len(fields(LaunchContext)) - 1
    for name, value in members.items():
        if name not in defined:
            if _EXTENSION_NAME.fullmatch(name) is None:
                yield f"{_quote(name)} is not a launch parameter; a custom one must be a full URI or begin with __."
        elif value is None:
            continue
        elif name in {"patient", "encounter"}:
            if not isinstance(value, str) or ID_PATTERN.fullmatch(value) is None:
                yield f"{name} must be a bare id, such as 123, not {_quote(value)}."
        elif name == "need_patient_banner":
            if not isinstance(value, bool):
                yield "need_patient_banner must be true or false, without quotation marks."
        elif name == "fhirContext":
            yield from _fhir_context_problems(value)
        elif not isinstance(value, str) or not value or len(value) > MAX_TEXT:
            yield f"{name} must be a string of 1 to {MAX_TEXT} characters."
    style = members.get("smart_style_url")
    if isinstance(style, str) and _scheme(style) not in {"https", "http"}:
        yield "smart_style_url must be a URL."


def _fhir_context_problems(value: Any) -> Iterator[str]:
    if not isinstance(value, list) or len(value) > MAX_FHIR_CONTEXT:
        yield f"fhirContext must be a list of at most {MAX_FHIR_CONTEXT} objects."
        return
    for index, item in enumerate(value):
        yield from (f"fhirContext[{index}] {problem}." for problem in _item_problems(item))


def _item_problems(item: Any) -> Iterator[str]:
    if not isinstance(item, dict):
        yield "must be an object; the plain references of SMART 2.0 are not supported (edge case 37)"
        return
    unknown = sorted(set(item) - {"reference", "canonical", "identifier", "type", "role"})
    if unknown:
        yield f"has a member {_quote(unknown[0])} that SMART does not define"
    if not {"reference", "canonical", "identifier"} & set(item):
        yield "needs a reference, a canonical or an identifier (LC-9)"
    yield from _target_problems(item)
    role = item.get("role", "launch")
    if not isinstance(role, str) or not role or (role != "launch" and not _scheme(role)):
        yield "has a role that is not an absolute URI (LC-14)"
    if role == "launch" and _item_type(item) in {"Patient", "Encounter"}:
        yield f"names a {_item_type(item)} in the role launch: use the parameter for it instead (LC-15)"


def _target_problems(item: Mapping[str, Any]) -> Iterator[str]:
    reference, canonical, identifier = (item.get(name) for name in ("reference", "canonical", "identifier"))
    if "reference" in item and (not isinstance(reference, str) or _referenced_type(reference) is None):
        yield "must have a relative reference, such as ImagingStudy/123 (LC-10)"
    if "canonical" in item and (not isinstance(canonical, str) or _CANONICAL.fullmatch(canonical) is None):
        yield "must have a canonical URL (LC-11)"
    if "identifier" in item and (not isinstance(identifier, dict) or not identifier):
        yield "must have an Identifier object (LC-12)"
    if "type" in item and not (isinstance(item["type"], str) and item["type"] in RESOURCE_TYPES):
        yield "has a type that is not in FHIR R4 (LC-13)"


def _scheme(uri: str) -> str:
    """Empty for a relative or malformed URI."""
    try:
        return urlsplit(uri).scheme
    except ValueError:
        return ""


def _referenced_type(reference: str) -> str | None:
    parsed = parse_reference(reference)
    return parsed.resource_type if parsed is not None else None


def _item_type(item: Mapping[str, Any]) -> str | None:
    reference = item.get("reference")
    resource_type = _referenced_type(reference) if isinstance(reference, str) else None
    declared_type = item.get("type")
    return resource_type or (declared_type if isinstance(declared_type, str) else None)


def _quote(value: object) -> str:
    return repr(value)[:60]
