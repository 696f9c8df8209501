"""Whether the answers to an attempt give something away."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.commands.selftesting.attempts import Attempt, AttemptedRequest, Expectation, Subjects
from gateway.commands.selftesting.check_results import CheckError, SkippedCheck
from gateway.commands.selftesting.marks import find_marks
from gateway.commands.selftesting.web import Answer

Send = Callable[[AttemptedRequest], Answer]
_UNJUDGED = frozenset({429, 500, 502, 503, 504})


def try_attempt(
    attempt: Attempt, subjects: Subjects, marks: Sequence[str], send: Send, *, only_own: bool = False
) -> None:
    """Make the requests of an attempt. `marks` occur in records of B alone.

    With `only_own`, no record about another patient than A may be shown at all, of B or of anybody.

    Raises `CheckError` at the first answer that gives something away, and `SkippedCheck` if the FHIR server fails on
    all of them, which proves nothing.
    """
    failures = []
    for request in attempt.requests:
        answers = [send(filled) for filled in _variants(attempt, request, subjects)]
        for answer in answers:
            _check_marks(answer, marks)
            _check_types(answer, attempt.only)
            if only_own:
                _check_patients(answer, subjects.a)
        if any(answer.status in _UNJUDGED for answer in answers):
            failures.append(answers[0])
            continue
        for answer in answers:
            _check_status(answer, attempt.expect)
        _check_alike(answers, request)
    if len(failures) == len(attempt.requests):
        raise SkippedCheck(f"every answer was a failure, such as {failures[0].status}", sent=failures[0].sent)


def _variants(attempt: Attempt, request: AttemptedRequest, subjects: Subjects) -> Iterator[AttemptedRequest]:
    """The request itself, and the ones whose answer must be the same."""
    values = subjects.values()
    if attempt.expect is Expectation.ABSENT:
        yield request.filled(values)
        yield request.filled(replace(subjects, hidden=subjects.absent, hidden_binary=subjects.absent).values())
    elif attempt.same_for:
        for guess in attempt.same_for:
            filled = AttemptedRequest(request.method, guess).filled(values).target
            yield request.filled({**values, "guess": filled})
    else:
        yield request.filled(values)


def _check_marks(answer: Answer, marks: Sequence[str]) -> None:
    found = find_marks(marks, answer.headers, answer.content)
    if found:
        raise CheckError(f"the answer ({answer.status}) has the other patient's mark: {found[0]}", sent=answer.sent)


def _check_types(answer: Answer, only: frozenset[str]) -> None:
    shown = {resource["resourceType"] for resource in _resources(answer.json())}
    if only and shown - only:
        types = ", ".join(sorted(shown - only))
        raise CheckError(f"the answer ({answer.status}) has resources out of scope: {types}", sent=answer.sent)


def _check_patients(answer: Answer, patient: str) -> None:
    """What names a patient as its subject names this one."""
    for resource in _resources(answer.json()):
        subject = resource.get("subject") or resource.get("patient")
        reference = subject.get("reference") if isinstance(subject, Mapping) else None
        named = f"Patient/{resource.get('id')}" if resource["resourceType"] == "Patient" else str(reference)
        is_another = re.search(rf"(^|/)Patient/(?!{re.escape(patient)}(/_history/|$))", named) is not None
        if is_another:
            raise CheckError(f"the answer ({answer.status}) has a record of somebody else", sent=answer.sent)


def _resources(body: Any) -> Iterator[Mapping[str, Any]]:
    """The resource that the body is, or those in the entries of a Bundle; without outcomes."""
    if not isinstance(body, Mapping) or not isinstance(body.get("resourceType"), str):
        return
    if body["resourceType"] not in {"Bundle", "OperationOutcome"}:
        yield body
    entries = body.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping):
            yield from _resources(entry.get("resource"))


def _check_status(answer: Answer, expect: Expectation) -> None:
    if expect is Expectation.REFUSED and not 400 <= answer.status < 500:
        raise CheckError(f"the answer has the status {answer.status} and is no refusal", sent=answer.sent)
    if expect is Expectation.ABSENT and answer.status < 400:
        raise CheckError(f"a record of the other patient is answered with {answer.status}", sent=answer.sent)


def _check_alike(answers: Sequence[Answer], request: AttemptedRequest) -> None:
    first = answers[0]
    for other in answers[1:]:
        if (first.status, _without_names(first, request)) != (other.status, _without_names(other, request)):
            raise CheckError(
                f"the answer ({first.status}) differs from that to something which does not exist ({other.status})",
                sent=first.sent,
            )


def _without_names(answer: Answer, request: AttemptedRequest) -> Any:
    """What is compared: the bytes; of a Bundle, which says when it was made and for what, its entries and total."""
    body = answer.json()
    if isinstance(body, dict) and body.get("resourceType") == "Bundle":
        return {name: body.get(name) for name in ("type", "total", "entry")}
    return answer.content
