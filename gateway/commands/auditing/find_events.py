"""Where AuditEvents are read from: files of lines, or the FHIR server that stores them."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import orjson

from gateway.audit_delivery.build import build_repository
from gateway.commands.auditing.recorded_access import RecordedAccess, read_access
from gateway.settings.serving.audit import AuditServer
from gateway.telemetry.audit_events.verify_chains import Line

_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PAGE = 200


def read_lines(files: Iterable[Path]) -> Iterator[Line]:
    """The lines of files in their order. Raises `OSError`."""
    for path in files:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield Line(str(path), number, line.removesuffix(b"\n"))


def accesses_in_files(files: Iterable[Path]) -> Iterator[RecordedAccess]:
    """The events in files. A line that cannot be read is passed over; `audit verify` reports it. Raises `OSError`."""
    for line in read_lines(files):
        try:
            access = read_access(orjson.loads(line.text))
        except orjson.JSONDecodeError:
            continue
        if access is not None:
            yield access


async def accesses_on_server(server: AuditServer, since: str | None, patient: str | None) -> list[RecordedAccess]:
    """The events that a FHIR server has, from an instant on, and of a patient whom they name by a literal reference.

    Raises `RepositoryError`.
    """
    query = f"_count={_PAGE}" + (f"&date=ge{quote(since)}" if since else "")
    if patient is not None:
        query += f"&patient=Patient/{quote(patient)}"
    repository = build_repository(server)
    try:
        found = [read_access(resource) async for resource in repository.search(query)]
    finally:
        await repository.aclose()
    return [access for access in found if access is not None]


def parse_since(text: str, now: datetime) -> str:
    """An instant from a date, a time with its zone, or how long ago: `24h`, `7d`. Raises `ValueError`."""
    ago = _AGO.fullmatch(text)
    if ago is not None:
        moment = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    else:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
