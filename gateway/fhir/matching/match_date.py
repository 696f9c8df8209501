"""Whether a date, Period or Timing matches a date criterion, compared as spans of time (R4 Search, 'date')."""

import calendar
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from gateway.fhir.matching.value_syntax import ValueTest, split_prefix

# Integer nanoseconds: no fraction is lost, and the end of the year 9999 can be represented.
_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
_DAY = 24 * 60 * _MINUTE

_DATE = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:T([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]|60)(?:\.([0-9]{1,9})[0-9]{0,9})?)?"
    r"(Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?)?)?)?"
)

Nanoseconds = int | float


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """From `start` up to, but not including, `end`, in nanoseconds. Infinite where a Period is open."""

    start: Nanoseconds
    end: Nanoseconds


@lru_cache(maxsize=4096)
def parse_date(text: str) -> TimeSpan:
    """Parse a date, dateTime or instant. Without a time zone it is UTC. Raises `ValueError`."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("not a FHIR date")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    first_day = date(int(year), int(month or 1), int(day or 1))
    start = first_day.toordinal() * _DAY
    if month is None:
        return TimeSpan(start, start + (366 if calendar.isleap(first_day.year) else 365) * _DAY)
    if day is None:
        return TimeSpan(start, start + calendar.monthrange(first_day.year, first_day.month)[1] * _DAY)
    if hour is None:
        return TimeSpan(start, start + _DAY)
    start += (int(hour) * 60 + int(minute)) * _MINUTE - _parse_zone(zone)
    if second is None:
        return TimeSpan(start, start + _MINUTE)
    start += int(second) * _SECOND
    if fraction is None:
        return TimeSpan(start, start + _SECOND)
    return TimeSpan(
        start + int(fraction.ljust(9, "0")), start + int(fraction.ljust(9, "0")) + 10 ** (9 - len(fraction))
    )


def _parse_zone(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return (-minutes if zone[0] == "-" else minutes) * _MINUTE


def parse_stored_value(value: Any) -> TimeSpan | None:
    """The span of a stored value. None if it has none or is malformed."""
    try:
        if isinstance(value, str):
            return parse_date(value)
        if isinstance(value, dict):
            return _parse_timing(value) if "event" in value or "repeat" in value else _parse_period(value)
    except ValueError:
        pass
    return None


def _parse_period(value: Mapping[str, Any]) -> TimeSpan | None:
    """A missing start or end is infinite. A Period that ends before it starts has no span."""
    start, end = value.get("start"), value.get("end")
    if start is None and end is None:
        return None
    span = TimeSpan(
        -math.inf if start is None else _parse_date_value(start).start,
        math.inf if end is None else _parse_date_value(end).end,
    )
    return span if span.start < span.end else None


def _parse_date_value(value: Any) -> TimeSpan:
    if not isinstance(value, str):
        raise ValueError("not a FHIR date")
    return parse_date(value)


def _parse_timing(value: Mapping[str, Any]) -> TimeSpan | None:
    """The outer limits of a Timing (R4 Search, 'date'): its first and last event, and its bounds."""
    events, repeat = value.get("event", []), value.get("repeat")
    if not isinstance(events, list):
        return None
    spans = [_parse_date_value(event) for event in events]
    bounds = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
    if isinstance(bounds, dict):
        limits = _parse_period(bounds)
        if limits is None:
            return None
        spans.append(limits)
    if not spans:
        return None
    return TimeSpan(min(span.start for span in spans), max(span.end for span in spans))


def compile_date_test(value: str) -> ValueTest:
    """Compile a date with a prefix. `ne` must hold for every value. Raises `ValueError`."""
    prefix, text = split_prefix(value)
    holds = compile_comparison(prefix, parse_date(text))
    if prefix == "ne":
        return lambda values: (
            bool(values) and all((span := parse_stored_value(stored)) is not None and holds(span) for stored in values)
        )
    return lambda values: any((span := parse_stored_value(stored)) is not None and holds(span) for stored in values)


def compile_comparison(prefix: str, criterion: TimeSpan) -> Callable[[TimeSpan], bool]:
    """Compile the comparison of stored spans with `criterion` (R4 Search 3.1.1.4.5)."""
    start, end = criterion.start, criterion.end
    tests: dict[str, Callable[[TimeSpan], bool]] = {
        "eq": lambda stored: start <= stored.start and stored.end <= end,
        "ne": lambda stored: not (start <= stored.start and stored.end <= end),
        "gt": lambda stored: stored.end > end,
        "lt": lambda stored: stored.start < start,
        "ge": lambda stored: stored.end > end or (start <= stored.start and stored.end <= end),
        "le": lambda stored: stored.start < start or (start <= stored.start and stored.end <= end),
        "sa": lambda stored: stored.start >= end,
        "eb": lambda stored: stored.end <= start,
    }
    return tests[prefix]
