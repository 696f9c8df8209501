"""Whether a date, Period or Timing lies where a criterion asks: a precision is a span of time (R4 Search, 'date')."""

import calendar
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from gateway.fhir.match_value import Test, prefixed

# Whole nanoseconds, so that no fraction is lost and the year 9999 has an end.
_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
_DAY = 24 * 60 * _MINUTE

_DATE = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:T([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]|60)(?:\.([0-9]{1,9})[0-9]{0,9})?)?"
    r"(Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?)?)?)?"
)

Instant = int | float


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` up to but without `end`, in nanoseconds; infinite where a Period is open."""

    start: Instant
    end: Instant


@lru_cache(maxsize=4096)
def parse_date(text: str) -> Span:
    """The span of a date, dateTime or instant. One without zone is read as UTC. Raises `ValueError`."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("not a FHIR date")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    first = date(int(year), int(month or 1), int(day or 1))
    start = first.toordinal() * _DAY
    if month is None:
        return Span(start, start + (366 if calendar.isleap(first.year) else 365) * _DAY)
    if day is None:
        return Span(start, start + calendar.monthrange(first.year, first.month)[1] * _DAY)
    if hour is None:
        return Span(start, start + _DAY)
    start += (int(hour) * 60 + int(minute)) * _MINUTE - _offset(zone)
    if second is None:
        return Span(start, start + _MINUTE)
    start += int(second) * _SECOND
    if fraction is None:
        return Span(start, start + _SECOND)
    return Span(start + int(fraction.ljust(9, "0")), start + int(fraction.ljust(9, "0")) + 10 ** (9 - len(fraction)))


def _offset(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return (-minutes if zone[0] == "-" else minutes) * _MINUTE


def span_of(value: Any) -> Span | None:
    """The span of a stored value; None where it has none or cannot be understood."""
    try:
        if isinstance(value, str):
            return parse_date(value)
        if isinstance(value, dict):
            return _timing(value) if "event" in value or "repeat" in value else _period(value)
    except ValueError:
        pass
    return None


def _period(value: Mapping[str, Any]) -> Span | None:
    """An end that is missing reaches as far as time does. One that ends before it starts is none."""
    start, end = value.get("start"), value.get("end")
    if start is None and end is None:
        return None
    span = Span(
        -math.inf if start is None else _moment(start).start,
        math.inf if end is None else _moment(end).end,
    )
    return span if span.start < span.end else None


def _moment(value: Any) -> Span:
    if not isinstance(value, str):
        raise ValueError("not a FHIR date")
    return parse_date(value)


def _timing(value: Mapping[str, Any]) -> Span | None:
    """Only the outer limits of a Timing count (R4 Search, 'date'): its first and last event, and its bounds."""
    events, repeat = value.get("event", []), value.get("repeat")
    if not isinstance(events, list):
        return None
    spans = [_moment(event) for event in events]
    bounds = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
    if isinstance(bounds, dict):
        limits = _period(bounds)
        if limits is None:
            return None
        spans.append(limits)
    if not spans:
        return None
    return Span(min(span.start for span in spans), max(span.end for span in spans))


def date_test(value: str) -> Test:
    """A date with a prefix; `ne` must hold for every value. Raises `ValueError`."""
    prefix, text = prefixed(value)
    holds = comparison(prefix, parse_date(text))
    if prefix == "ne":
        return lambda values: bool(values) and all((span := span_of(one)) is not None and holds(span) for one in values)
    return lambda values: any((span := span_of(one)) is not None and holds(span) for one in values)


def comparison(prefix: str, asked: Span) -> Callable[[Span], bool]:
    """What a stored span must satisfy to stand in the relation `prefix` to `asked` (R4 Search 3.1.1.4.5)."""
    start, end = asked.start, asked.end
    tests: dict[str, Callable[[Span], bool]] = {
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
