"""The results of checks: each a sentence with its outcome, kept in the order in which they were made."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType

import httpx2


class Outcome(StrEnum):
    """What became of a check."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check. `family` groups checks, `sentence` says what must hold.

    `found` says what was seen instead, or why it was left out; `sent` is the request without its credentials; `remedy`
    says what to do. `seconds` is how long it took.
    """

    family: str
    sentence: str
    outcome: Outcome
    seconds: float
    found: str = ""
    sent: str = ""
    remedy: str = ""


class CheckError(Exception):
    """What is checked does not hold. The texts are those of `CheckResult`; none holds a token or another's data."""

    outcome = Outcome.FAILED

    def __init__(self, found: str, *, sent: str = "", remedy: str = "") -> None:
        super().__init__(found)
        self.found, self.sent, self.remedy = found, sent, remedy


class SkippedCheck(CheckError):
    """The check does not apply, or cannot be made; `found` says why."""

    outcome = Outcome.SKIPPED


class CheckWarning(CheckError):
    """Nothing is wrong with the gateway, but somebody should know."""

    outcome = Outcome.WARNING


class CheckResults:
    """Makes checks and keeps their results. `tell` is called with each one as soon as it is known."""

    def __init__(self, tell: Callable[[CheckResult], None]) -> None:
        self._tell = tell
        self.results: list[CheckResult] = []

    def check(self, family: str, sentence: str, remedy: str = "") -> "RunningCheck":
        """A block that is the check: it holds unless a `CheckError` is raised in it, or nobody answers.

        `remedy` is what to do where the error names nothing better.
        """
        return RunningCheck(self, family, sentence, remedy)

    def add(self, result: CheckResult) -> None:
        """Keep a result."""
        self.results.append(result)
        self._tell(result)

    def skip(self, family: str, sentence: str, why: str) -> None:
        """Keep the result of a check that is not made."""
        self.add(CheckResult(family, sentence, Outcome.SKIPPED, 0.0, why))

    def count(self, outcome: Outcome) -> int:
        """How many checks had this outcome."""
        return sum(result.outcome is outcome for result in self.results)


class RunningCheck:
    """A check while it is made. What it raises ends here, unless it is no matter of the check."""

    def __init__(self, results: CheckResults, family: str, sentence: str, remedy: str) -> None:
        self._results = results
        self._family, self._sentence, self._remedy = family, sentence, remedy
        self._started = time.monotonic()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        outcome, found, sent, remedy = Outcome.OK, "", "", ""
        match error:
            case CheckError():
                outcome, found, sent, remedy = error.outcome, error.found, error.sent, error.remedy or self._remedy
            case httpx2.HTTPError():
                outcome, remedy = Outcome.FAILED, self._remedy
                found = f"there was no complete response: {describe_failure(error)}"
            case LookupError() | TypeError() | AttributeError() | ValueError() | httpx2.InvalidURL():
                # Whatever is behind the address, it may answer with anything.
                outcome, remedy = Outcome.FAILED, self._remedy
                found = f"an answer does not have the form that it must have ({type(error).__name__})"
            case None:
                pass
            case _:
                return False
        if outcome is Outcome.SKIPPED:
            remedy = ""
        seconds = time.monotonic() - self._started
        self._results.add(CheckResult(self._family, self._sentence, outcome, seconds, found, sent, remedy))
        return True


def describe_failure(error: httpx2.HTTPError) -> str:
    """What went wrong with a request, without its URL, which may hold a code."""
    text = str(error)
    return type(error).__name__ if not text or "://" in text else f"{type(error).__name__}: {text}"
