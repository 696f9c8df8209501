"""The error of admin and registration requests, and its problems for entries that fail validation."""

from collections.abc import Iterable, Iterator

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.settings.section import CONFLICTS, Conflict


class AdminRequestError(Exception):
    """The request is refused. `status` is an HTTP status, `problems` holds a sentence for each problem."""

    def __init__(self, status: int, *problems: str) -> None:
        super().__init__(" ".join(problems))
        self.status = status
        self.problems = problems


def validation_problems(error: ValidationError) -> list[str]:
    """Every problem, each after the path of its member. A conflict between members gives a problem for each of them."""
    return [problem for details in error.errors() for problem in _problems_of(details)]


def _problems_of(details: ErrorDetails) -> Iterator[str]:
    conflicts: Iterable[Conflict] = details.get("ctx", {}).get(CONFLICTS, ())
    pairs = [((*details["loc"], *conflict.path), conflict.sentence) for conflict in conflicts]
    for path, sentence in pairs or [(details["loc"], details["msg"])]:
        yield f"{'.'.join(map(str, path)) or 'the entry'}: {sentence}"
