"""The resource that holds app state: a Basic under the profile `smart-app-state-basic` (checklist AS-5).

What it holds is kept unchanged and never interpreted. Elements that would change the meaning of the resource, or refer
to other records, are refused, so that nothing is lost of what is accepted (AS-6).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.fhir.app_state.state_codes import StateAddress
from gateway.fhir.reference import Reference, parse_reference
from gateway.fhir.request_error import RequestError, RequestProblem

PROFILE = "http://hl7.org/fhir/smart-app-launch/StructureDefinition/smart-app-state-basic"
SUBJECT_TYPES = frozenset({"Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person"})
_ELEMENTS = frozenset({"resourceType", "id", "meta", "language", "text", "code", "subject", "extension"})
_META_ELEMENTS = frozenset({"versionId", "lastUpdated", "source", "profile", "security", "tag"})
_SUBJECT_ELEMENTS = frozenset({"reference", "type", "display"})
_EXTENSION_ELEMENTS = frozenset({"id", "url", "valueString"})


def read_state_address(tree: Mapping[str, Any], base: str) -> StateAddress:
    """What the state belongs to. `base` is the FHIR base. Raises `RequestError` unless the tree keeps the profile."""
    _refuse_others(tree, _ELEMENTS, "Basic")
    meta = tree.get("meta", {})
    if not isinstance(meta, dict):
        raise _invalid("Basic.meta", "It is one object.")
    _refuse_others(meta, _META_ELEMENTS, "Basic.meta")
    _check_extensions(tree.get("extension", []))
    system, code = _read_coding(tree.get("code"))
    subject = _read_subject(tree["subject"], base) if "subject" in tree else None
    return StateAddress(system, code, subject)


def check_new_state(tree: Mapping[str, Any]) -> None:
    """Raises `RequestError` if a resource to create has an id or a version, which the server assigns (AS-5)."""
    if "id" in tree:
        raise _invalid("Basic.id", "The server assigns the id.")
    meta = tree.get("meta")
    if isinstance(meta, dict) and "versionId" in meta:
        raise _invalid("Basic.meta.versionId", "The server assigns the version.")


def parse_subject(text: str, base: str) -> Reference | None:
    """The subject with this absolute reference; None if it is none that state can be about."""
    if not text.startswith(f"{base}/"):
        return None
    reference = parse_reference(text[len(base) + 1 :])
    return None if reference is None or not _may_be_subject(reference) else reference


def with_version(tree: Mapping[str, Any], state_id: str, version: int, changed_at: float) -> dict[str, Any]:
    """The resource as it is stored. `changed_at` is in seconds since the epoch."""
    instant = datetime.fromtimestamp(changed_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    meta = {**tree.get("meta", {}), "versionId": str(version), "lastUpdated": instant}
    others = {name: value for name, value in tree.items() if name not in {"resourceType", "id", "meta"}}
    return {"resourceType": "Basic", "id": state_id, "meta": meta, **others}


def _may_be_subject(reference: Reference) -> bool:
    return reference.resource_type in SUBJECT_TYPES and reference.version_id is None


def _read_coding(concept: Any) -> tuple[str, str]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    if not isinstance(codings, list) or len(codings) != 1 or not isinstance(codings[0], dict):
        raise _invalid("Basic.code.coding", "It is exactly one coding.")
    system, code = codings[0].get("system"), codings[0].get("code")
    if not isinstance(system, str) or not isinstance(code, str) or not system.strip() or not code.strip():
        raise _invalid("Basic.code.coding", "It has a system and a code.")
    return system, code


def _read_subject(subject: Any, base: str) -> Reference:
    if not isinstance(subject, dict):
        raise _invalid("Basic.subject", "It is one reference.")
    _refuse_others(subject, _SUBJECT_ELEMENTS, "Basic.subject")
    text = subject.get("reference")
    reference = parse_subject(text, base) if isinstance(text, str) else None
    if reference is None:
        raise _invalid(
            "Basic.subject.reference",
            f"It is the absolute address of a {', '.join(sorted(SUBJECT_TYPES))} below {base}.",
        )
    return reference


def _check_extensions(extensions: Any) -> None:
    if not isinstance(extensions, list):
        raise _invalid("Basic.extension", "It is a list.")
    for extension in extensions:
        if not isinstance(extension, dict):
            raise _invalid("Basic.extension", "Each extension is an object.")
        _refuse_others(extension, _EXTENSION_ELEMENTS, "Basic.extension")
        if not all(isinstance(extension.get(name), str) and extension[name] for name in ("url", "valueString")):
            raise _invalid("Basic.extension", "Each extension has a url and a valueString.")


def _refuse_others(tree: Mapping[str, Any], known: frozenset[str], path: str) -> None:
    for name in tree:
        if name not in known:
            raise _invalid(f"{path}.{name}", "App state has no such element.")


def _invalid(path: str, hint: str) -> RequestError:
    return RequestError(RequestProblem.APP_STATE_INVALID, path, hint)
