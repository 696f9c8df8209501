"""A Task that asks its user to launch an app, as the profile `task-ehr-launch` describes it (checklist TL-1..TL-4)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.fhir.reference import parse_reference
from gateway.oauth.launch_context import LaunchContextError

_CODES = "http://hl7.org/fhir/smart-app-launch/CodeSystem/smart-codes"
_EHR_LAUNCH = "launch-app-ehr"
_APPLICATION, _APP_CONTEXT = "smartonfhir-application", "smartonfhir-appcontext"
# In these a Task still asks for something (FHIR R4, task-status).
_OPEN_STATUSES = frozenset({"draft", "requested", "received", "accepted", "ready", "in-progress", "on-hold"})


@dataclass(frozen=True, slots=True)
class TaskLaunch:
    """What a Task says: the launch URL of the app, and members of the launch context."""

    launch_uri: str
    context: Mapping[str, Any]


def read_launch_task(task: Any, bases: Sequence[str]) -> TaskLaunch:
    """What the Task asks for. `bases` are the URLs of the FHIR base. Raises `LaunchContextError`."""
    if not isinstance(task, Mapping) or task.get("resourceType") != "Task":
        raise LaunchContextError(("task must be a Task.",))
    uris = list(_inputs(task, _APPLICATION, "valueUrl"))
    contexts = list(_inputs(task, _APP_CONTEXT, "valueString"))
    patient, encounter = _target(task, "for", "Patient", bases), _target(task, "encounter", "Encounter", bases)
    problems = tuple(_problems(task, uris, contexts, patient=patient, encounter=encounter))
    if problems:
        raise LaunchContextError(problems)
    members = {"patient": patient, "encounter": encounter, "appContext": contexts[0] if contexts else None}
    return TaskLaunch(uris[0], {name: value for name, value in members.items() if value is not None})


def _problems(
    task: Mapping[str, Any], uris: list[Any], contexts: list[Any], *, patient: str | None, encounter: str | None
) -> Iterator[str]:
    if not _has_code(task.get("code"), _EHR_LAUNCH):
        yield f"task.code must be {_EHR_LAUNCH}: a Task with another code is no launch from an EHR (TL-1)."
    if task.get("status") not in _OPEN_STATUSES:
        yield "task.status must be that of a Task which is not done."
    if len(uris) != 1 or not isinstance(uris[0], str):
        yield f"task.input must have one {_APPLICATION} with a valueUrl (TL-2)."
    if len(contexts) > 1 or not all(isinstance(context, str) for context in contexts):
        yield f"task.input may have one {_APP_CONTEXT} with a valueString (TL-2)."
    if patient is None and "for" in task:
        yield "task.for must refer to a Patient of this server (TL-4)."
    if encounter is None and "encounter" in task:
        yield "task.encounter must refer to an Encounter of this server (TL-4)."


def _inputs(task: Mapping[str, Any], code: str, member: str) -> Iterator[Any]:
    """The values of the inputs of a type; None for an input without such a value."""
    inputs = task.get("input")
    for item in inputs if isinstance(inputs, list) else []:
        if isinstance(item, Mapping) and _has_code(item.get("type"), code):
            yield item.get(member)


def _has_code(concept: Any, code: str) -> bool:
    codings = concept.get("coding") if isinstance(concept, Mapping) else None
    return any(
        isinstance(coding, Mapping) and (coding.get("system"), coding.get("code")) == (_CODES, code)
        for coding in (codings if isinstance(codings, list) else [])
    )


def _target(task: Mapping[str, Any], element: str, resource_type: str, bases: Sequence[str]) -> str | None:
    """The id of the resource that an element refers to. A reference to another server leads nowhere."""
    reference = task.get(element)
    text = reference.get("reference") if isinstance(reference, Mapping) else None
    parsed = parse_reference(text, bases) if isinstance(text, str) else None
    return parsed.id if parsed is not None and parsed.resource_type == resource_type else None
