"""Which codes of app state an app may use, and how far (SMART App Launch 2.2, app-state, "Security")."""

from dataclasses import dataclass
from enum import IntEnum

from gateway.fhir.reference import Reference


class StateUse(IntEnum):
    """How far an app may use state; each includes those before it."""

    NONE = 0
    QUERY = 1
    MODIFY = 2


@dataclass(frozen=True, slots=True)
class StateAddress:
    """What a piece of state belongs to: one coding, and one subject or none. State without a subject is global."""

    system: str
    code: str
    subject: Reference | None = None


@dataclass(frozen=True, slots=True)
class StateCodes:
    """Codes that an app is trusted with: one of a system, or all of it where `code` is None.

    `use` holds for state about the patient or the user of a token, `global_use` for state without a subject.
    """

    system: str
    code: str | None = None
    use: StateUse = StateUse.MODIFY
    global_use: StateUse = StateUse.QUERY

    def permits(self, address: StateAddress, needed: StateUse) -> bool:
        """Whether state at the address may be used that far."""
        allowed = self.global_use if address.subject is None else self.use
        return self.system == address.system and self.code in {None, address.code} and needed <= allowed
