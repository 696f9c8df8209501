"""Puts the problems of an entry beside the fields of the form that it came from."""

from collections.abc import Collection
from dataclasses import dataclass, field

# How Pydantic begins the sentence of a rule of ours.
_RAISED = "Value error, "


@dataclass(frozen=True, slots=True)
class FormProblems:
    """Sentences in English, by the name of the field, and those about the entry as a whole."""

    by_field: dict[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.by_field or self.others)


def assign_problems(problems: Collection[str], fields: Collection[str]) -> FormProblems:
    """The problems, each of which begins with the path of its member: `redirect_uris.0: must ...`.

    In the form, the members of a list are lines.
    """
    by_field: dict[str, str] = {}
    others: list[str] = []
    for problem in problems:
        path, colon, sentence = problem.partition(": ")
        name, _, rest = path.partition(".")
        sentence = sentence.removeprefix(_RAISED)
        if not colon or name not in fields:
            others.append(problem)
        else:
            shown = f"Line {int(rest) + 1} {sentence}." if rest.isdecimal() else sentence
            by_field[name] = f"{by_field[name]} {shown}" if name in by_field else shown
    return FormProblems(by_field, tuple(others))
