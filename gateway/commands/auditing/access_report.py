"""Who accessed a record and what left: the events that fit, as a table or as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from gateway.commands.auditing.recorded_access import RecordedAccess

_HEADINGS = ("TIME", "USER", "APP", "FROM", "WHAT", "PATIENT", "LEFT", "DECISION")


@dataclass(frozen=True, slots=True)
class AccessFilter:
    """Which events are wanted. `patient` is as events have it; `since` is an instant as FHIR writes it."""

    patient: str | None = None
    client: str | None = None
    user: str | None = None
    since: str | None = None

    def fits(self, access: RecordedAccess) -> bool:
        """Whether an event is wanted. An export may hold every patient."""
        return (
            (self.patient is None or self.patient in access.patients or access.is_export)
            and (self.client is None or access.client == self.client)
            and (self.user is None or self.user in access.users)
            and (self.since is None or access.at >= self.since)
        )


def select_accesses(accesses: Iterable[RecordedAccess], wanted: AccessFilter) -> list[RecordedAccess]:
    """The events that are wanted, each once, in the order of their times."""
    selected = {access.id: access for access in accesses if wanted.fits(access)}
    return sorted(selected.values(), key=lambda access: access.at)


def as_objects(accesses: Iterable[RecordedAccess]) -> list[dict[str, object]]:
    """The events as JSON objects."""
    return [{**asdict(access), "left": access.left} for access in accesses]


def as_table(accesses: Sequence[RecordedAccess], *, patient: str | None) -> str:
    """The events as a table with one line each."""
    rows = [_HEADINGS, *(_row(access, patient) for access in accesses)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(access: RecordedAccess, patient: str | None) -> tuple[str, ...]:
    whose = ", ".join(access.patients)
    if patient is not None and access.is_export:
        whose = "an export, which may hold this patient"
    return (
        access.at,
        access.users[0] if access.users else "-",
        access.client or "-",
        access.address or "-",
        access.what,
        whose or "-",
        access.left or "-",
        access.details.get("decision_id", access.id),
    )
