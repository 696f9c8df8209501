"""The context of a launch: what it is about, and what of that stands in a token response (checklist LC-1..LC-22)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from gateway.fhir.reference import ID, parse_reference
from gateway.scopes.resource_types import RESOURCE_TYPES

MAX_FHIR_CONTEXT = 50
MAX_TEXT = 2048
# EX-1: what SMART does not name is a full URI or begins with two underscores.
_CUSTOM = re.compile(r"__[A-Za-z0-9_.\-]{1,100}|https?://[!-~]{3,200}")
_CANONICAL = re.compile(r"[a-z][a-z0-9+.\-]*:[!-~]+")
_TEXTS = {"intent": "intent", "smart_style_url": "smart_style_url", "tenant": "tenant", "appContext": "app_context"}


class ContextError(Exception):
    """A launch context that cannot be; every problem is told, each with its place."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class LaunchContext:
    """What a launch is about. `patient` and `encounter` are bare ids; `extra` has members that SMART does not name."""

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
        """The members beside `access_token`: absent ones left out, `false` kept (edge cases 32, 36, 141)."""
        named: dict[str, Any] = {
            "patient": self.patient,
            "encounter": self.encounter,
            "fhirContext": list(self.fhir_context) or None,
            "need_patient_banner": self.need_patient_banner,
            **{told: getattr(self, name) for told, name in _TEXTS.items()},
            **self.extra,
        }
        return {name: value for name, value in named.items() if value is not None}


def read_context(members: Mapping[str, Any]) -> LaunchContext:
    """The context that a launcher sent as JSON, under the names of the token response. Raises `ContextError`."""
    problems = tuple(_problems(members))
    if problems:
        raise ContextError(problems)
    return LaunchContext(
        patient=members.get("patient"),
        encounter=members.get("encounter"),
        fhir_context=tuple(dict(one) for one in members.get("fhirContext") or ()),
        need_patient_banner=members.get("need_patient_banner"),
        **{name: members.get(told) for told, name in _TEXTS.items()},
        extra={name: value for name, value in members.items() if _CUSTOM.fullmatch(name)},
    )


def _problems(members: Mapping[str, Any]) -> Iterator[str]:
    known = {"patient", "encounter", "fhirContext", "need_patient_banner", *_TEXTS}
    assert len(known) == len(fields(LaunchContext)) - 1
    for name, value in members.items():
        if name not in known:
            if _CUSTOM.fullmatch(name) is None:
                yield f"{_shown(name)} is no parameter of a launch; one of your own is a full URI or begins with __."
        elif value is None:
            continue
        elif name in {"patient", "encounter"}:
            if not isinstance(value, str) or ID.fullmatch(value) is None:
                yield f"{name} must be a bare id, such as 123, not {_shown(value)}."
        elif name == "need_patient_banner":
            if not isinstance(value, bool):
                yield "need_patient_banner must be true or false, without quotation marks."
        elif name == "fhirContext":
            yield from _list_problems(value)
        elif not isinstance(value, str) or not value or len(value) > MAX_TEXT:
            yield f"{name} must be a text of at most {MAX_TEXT} characters."
    style = members.get("smart_style_url")
    if isinstance(style, str) and _scheme(style) not in {"https", "http"}:
        yield "smart_style_url must be a URL."


def _list_problems(value: Any) -> Iterator[str]:
    if not isinstance(value, list) or len(value) > MAX_FHIR_CONTEXT:
        yield f"fhirContext must be a list of at most {MAX_FHIR_CONTEXT} objects."
        return
    for index, item in enumerate(value):
        yield from (f"fhirContext[{index}] {problem}." for problem in _item_problems(item))


def _item_problems(item: Any) -> Iterator[str]:
    if not isinstance(item, dict):
        yield "must be an object; plain references are of SMART 2.0 (edge case 37)"
        return
    unknown = sorted(set(item) - {"reference", "canonical", "identifier", "type", "role"})
    if unknown:
        yield f"has a member {_shown(unknown[0])} that SMART does not define"
    if not {"reference", "canonical", "identifier"} & set(item):
        yield "needs a reference, a canonical or an identifier (LC-9)"
    yield from _target_problems(item)
    role = item.get("role", "launch")
    if not isinstance(role, str) or not role or (role != "launch" and not _scheme(role)):
        yield "has a role that is no absolute URI (LC-14)"
    if role == "launch" and _type_of(item) in {"Patient", "Encounter"}:
        yield f"names a {_type_of(item)} without a role of its own: that is the parameter's place (LC-15)"


def _target_problems(item: Mapping[str, Any]) -> Iterator[str]:
    reference, canonical, identifier = (item.get(name) for name in ("reference", "canonical", "identifier"))
    if "reference" in item and (not isinstance(reference, str) or _relative(reference) is None):
        yield "must have a relative reference, such as ImagingStudy/123 (LC-10)"
    if "canonical" in item and (not isinstance(canonical, str) or _CANONICAL.fullmatch(canonical) is None):
        yield "must have a canonical URL (LC-11)"
    if "identifier" in item and (not isinstance(identifier, dict) or not identifier):
        yield "must have an Identifier object (LC-12)"
    if "type" in item and not (isinstance(item["type"], str) and item["type"] in RESOURCE_TYPES):
        yield "has a type that R4 does not know (LC-13)"


def _scheme(uri: str) -> str:
    """Empty where it is relative, or no URI at all."""
    try:
        return urlsplit(uri).scheme
    except ValueError:
        return ""


def _relative(reference: str) -> str | None:
    parsed = parse_reference(reference)
    return parsed.resource_type if parsed is not None else None


def _type_of(item: Mapping[str, Any]) -> str | None:
    reference = item.get("reference")
    named = _relative(reference) if isinstance(reference, str) else None
    told = item.get("type")
    return named or (told if isinstance(told, str) else None)


def _shown(value: object) -> str:
    return repr(value)[:60]
