"""What the SMART server needs of whoever reloads the configuration: the state, a reload, the way back."""

from dataclasses import dataclass
from typing import Protocol

from gateway.telemetry.configuration_metrics import ReloadOutcome

BY_ADMINISTRATOR = "administrator"
"""The trigger of a reload that the admin API has asked for."""


@dataclass(frozen=True, slots=True)
class ConfigurationChange:
    """A configuration that came into force: its version, when, in seconds since the epoch, and what brought it."""

    version: str
    at: float
    trigger: str


@dataclass(frozen=True, slots=True)
class ConfigurationState:
    """The configuration in force. `since` is in seconds since the epoch.

    `previous` is the version before it, to which there is a way back; None without one. `problems` say why the files as
    they are now are not in force; empty if they are. `history` has the last changes in this process, the newest first.
    """

    version: str
    since: float
    previous: str | None
    problems: tuple[str, ...] = ()
    history: tuple[ConfigurationChange, ...] = ()


class ReloadRefusedError(Exception):
    """Nothing has changed. `problems` has a sentence for each reason."""

    def __init__(self, outcome: ReloadOutcome, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.outcome = outcome
        self.problems = problems


class ConfigurationControl(Protocol):
    """Changes the configuration of this process."""

    @property
    def state(self) -> ConfigurationState:
        """The configuration in force."""

    async def reload(self, trigger: str) -> ReloadOutcome:
        """Bring the configuration into force as its files are now. Raises `ReloadRefusedError`.

        `trigger` says who asked for it, in the log and the audit.
        """

    async def roll_back(self, trigger: str) -> ReloadOutcome:
        """Bring the configuration before this one into force. Raises `ReloadRefusedError`."""

    def hear(self, message: str) -> bool:
        """Follow a message of another gateway that has the same store; False if it is about something else."""
