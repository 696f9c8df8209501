"""An explanation as a value: lines for people, and the outcome for programs."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.policy.reasons import Reason
from gateway.policy.refusal_texts import REFUSAL_TEXTS

_LABEL_WIDTH = 14


class Outcome(StrEnum):
    """How the request would end. DEPENDS: on the record itself, or on what only the running gateway looks up."""

    PERMITTED = "permitted"
    REFUSED = "refused"
    DEPENDS = "depends"


@dataclass(frozen=True, slots=True)
class Line:
    """One line, such as `Sent` and a URL."""

    label: str
    text: str

    def __str__(self) -> str:
        return f"{self.label:<{_LABEL_WIDTH}}{self.text}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The lines in their order, the outcome and its reason. A refusal has at least one of `remedies`."""

    lines: tuple[Line, ...]
    outcome: Outcome
    reason: Reason
    remedies: tuple[str, ...] = ()

    def all_lines(self) -> tuple[Line, ...]:
        """The lines, and the remedies after them."""
        return (*self.lines, *(Line("Would help", remedy) for remedy in self.remedies))


def explain_refusal(
    lines: tuple[Line, ...], reason: Reason, remedies: tuple[str, ...], *, offender: str = "", hint: str = ""
) -> Explanation:
    """The explanation of a refusal, with the status and the sentence that the app receives."""
    text = REFUSAL_TEXTS[reason]
    refusal = [Line("Outcome", f"refused, {text.status} {reason}: {text.sentence} {hint}".rstrip())]
    if offender:
        refusal.append(Line("Because of", offender))
    return Explanation((*lines, *refusal), Outcome.REFUSED, reason, remedies)
