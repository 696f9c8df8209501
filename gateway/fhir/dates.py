"""FHIR dates as half-open intervals of time: a precision is a span (R4 Search 3.1.1.4.7)."""

import calendar
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, timedelta, timezone
from typing import Any

_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?")
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime(MAXYEAR, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` up to but without `end`."""

    start: datetime
    end: datetime


def parse_date(text: str) -> Span:
    """The span of a date, dateTime or instant. One without zone is read as UTC. Raises `ValueError`."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("not a FHIR date")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    start = datetime(
        int(year),
        int(month or 1),
        int(day or 1),
        int(hour or 0),
        int(minute or 0),
        min(int(second or 0), 59),
        int((fraction or "0").ljust(6, "0")[:6]),
        tzinfo=_zone(zone),
    )
    return Span(start.astimezone(UTC), (start + _width(start, match.groups())).astimezone(UTC))


def _width(start: datetime, parts: tuple[str | None, ...]) -> timedelta:
    _, month, day, hour, _, second, fraction, _ = parts
    if month is None:
        return timedelta(days=366 if calendar.isleap(start.year) else 365)
    if day is None:
        return timedelta(days=calendar.monthrange(start.year, start.month)[1])
    if hour is None:
        return timedelta(days=1)
    if second is None:
        return timedelta(minutes=1)
    if fraction is None:
        return timedelta(seconds=1)
    return timedelta(microseconds=max(1, 10 ** (6 - len(fraction)) if len(fraction) < 6 else 1))


def _zone(zone: str | None) -> timezone:
    if zone is None or zone == "Z":
        return UTC
    sign = -1 if zone[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6])))


def spans(values: Iterable[Any]) -> Iterator[Span]:
    """The spans of stored values: dates, Periods (open ends reach as far as time does) and Timings."""
    for value in values:
        try:
            if isinstance(value, str):
                yield parse_date(value)
            elif isinstance(value, Mapping):
                yield from _structured(value)
        except (ValueError, OverflowError):
            continue


def _structured(value: Mapping[str, Any]) -> Iterator[Span]:
    if "start" in value or "end" in value:
        start = parse_date(value["start"]).start if isinstance(value.get("start"), str) else _FIRST
        end = parse_date(value["end"]).end if isinstance(value.get("end"), str) else _LAST
        yield Span(start, end)
    events = value.get("event")
    if isinstance(events, list):
        yield from spans(events)
    repeat = value.get("repeat")
    bounds = repeat.get("boundsPeriod") if isinstance(repeat, Mapping) else None
    if isinstance(bounds, Mapping):
        yield from spans([bounds])


def compare(prefix: str, stored: Span, asked: Span) -> bool:
    """Whether a stored span satisfies `prefix` against the asked one."""
    within = asked.start <= stored.start and stored.end <= asked.end
    outcomes = {
        "eq": within,
        "ne": not within,
        "gt": stored.end > asked.end,
        "lt": stored.start < asked.start,
        "ge": stored.end > asked.end or within,
        "le": stored.start < asked.start or within,
        "sa": stored.start >= asked.end,
        "eb": stored.end <= asked.start,
    }
    return outcomes[prefix]
