"""Date criteria: R4 Search, 'date'. Every precision is a span of time, compared by its ends."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.matching.match_date import TimeSpan, compile_comparison, parse_date
from tests.fhir.matching.criteria import matches

PERIOD = {"start": "2020-03-01", "end": "2020-03-31"}


@pytest.mark.parametrize(
    ("criterion", "stored", "expected"),
    [
        pytest.param("2020-03-05", "2020-03-05", True, id="the same day"),
        pytest.param("2020-03-05", "2020-03-05T10:00:00Z", True, id="a time within the day"),
        pytest.param("2020-03", "2020-03-05", True, id="a day within the month"),
        pytest.param("2020-03-05", "2020-03", False, id="a month is not within a day"),
        pytest.param("2020", "2019-12-31T23:30:00-02:00", True, id="a zone that carries it into the year"),
        pytest.param("2020", "2020-01-01T01:00:00+02:00", False, id="a zone that carries it out of the year"),
        pytest.param("2020-03-05T10:00Z", "2020-03-05T12:00:30+02:00", True, id="within the minute, in another zone"),
        pytest.param("2020-03-05T10:00:00Z", "2020-03-05T10:00:00.250Z", True, id="a fraction of the second"),
        pytest.param("2020-03-05T10:00:00.2Z", "2020-03-05T10:00:00.250Z", True, id="a fraction of the fraction"),
        pytest.param("2020-03-05T10:00:00.250Z", "2020-03-05T10:00:00Z", False, id="a second is not in a fraction"),
        pytest.param("ne2020-03-05", "2020-03-06", True, id="ne another day"),
        pytest.param("ne2020-03-05", "2020-03-05", False, id="ne the same day"),
        pytest.param("ne2020-03-05", None, False, id="nothing is not different"),
        pytest.param("ne2020-03-05", "soon", False, id="nor is what is no date"),
        pytest.param("gt2020-03-05", "2020-03-06", True, id="gt the next day"),
        pytest.param("gt2020-03-05", "2020-03-05", False, id="gt not the same day"),
        pytest.param("gt2020-03-05", "2020-03", True, id="gt a month that goes on"),
        pytest.param("ge2020-03-05", "2020-03-05", True, id="ge the same day"),
        pytest.param("ge2020-03-05", "2020-03-04", False, id="ge not the day before"),
        pytest.param("lt2020-03-05", "2020-03-04", True, id="lt the day before"),
        pytest.param("lt2020-03-05", "2020-03-05", False, id="lt not the same day"),
        pytest.param("le2020-03-05", "2020-03-05", True, id="le the same day"),
        pytest.param("sa2020-03-05", "2020-03-06", True, id="sa the next day"),
        pytest.param("sa2020-03-05", "2020-03", False, id="sa not a month that has begun"),
        pytest.param("eb2020-03-05", "2020-03-04", True, id="eb the day before"),
        pytest.param("eb2020-03-05", "2020-03", False, id="eb not a month that goes on"),
        pytest.param("2020-03-05,2021", "2021-07-01", True, id="commas are or"),
        pytest.param("2020", "2020-12-31", True, id="the last day of a leap year"),
        pytest.param("2019", "2020-01-01", False, id="the day after a year"),
        pytest.param("9999", "9999-12-31", True, id="the last day there is"),
        pytest.param("2016-12-31", "2016-12-31T23:59:60Z", False, id="a leap second is of the next day"),
        pytest.param("2020", "2020-13-01", False, id="a thirteenth month"),
        pytest.param("2020", "2020-02-30", False, id="a day that is not"),
        pytest.param("2020", "2020-03-05T25:00:00Z", False, id="an hour that is not"),
        pytest.param("2020", "2020-03-05T10:00:00+15:00", False, id="a zone that is not"),
        pytest.param("2020", "2020-03-05T10:00:99Z", False, id="a second that is not"),
        pytest.param("2020", "2020\n", False, id="a line feed"),
        pytest.param("2020", "٢٠٢٠", False, id="digits of another script"),
        pytest.param("2020", 2020, False, id="a number"),
    ],
)
def test_a_time_matches_when(criterion: str, stored: Any, expected: bool) -> None:
    assert matches("Observation", f"date={criterion}", effectiveDateTime=stored) is expected


@pytest.mark.parametrize(
    ("criterion", "stored", "expected"),
    [
        pytest.param("2020-03", PERIOD, True, id="the period is within the month"),
        pytest.param("2020-03-05", PERIOD, False, id="the period is longer than the day"),
        pytest.param("gt2020-03-05", PERIOD, True, id="it goes on after the day"),
        pytest.param("lt2020-03-05", PERIOD, True, id="it began before the day"),
        pytest.param("sa2020-03-05", PERIOD, False, id="it did not start after the day"),
        pytest.param("sa2020-02", PERIOD, True, id="it started after the month"),
        pytest.param("eb2020-04-01", PERIOD, True, id="it ended before the day"),
        pytest.param("2020", {"start": "2020-03-01"}, False, id="an open end is in no year"),
        pytest.param("gt2050", {"start": "2020-03-01"}, True, id="an open end goes on"),
        pytest.param("lt1900", {"end": "2020-03-01"}, True, id="an open start reaches back"),
        pytest.param("eb2021", {"start": "2020-03-01"}, False, id="an open end ends before nothing"),
        pytest.param("sa2019", {"end": "2020-03-01"}, False, id="an open start starts after nothing"),
        pytest.param("gt2019", {"start": "2020-03-01", "end": "9999-12-31"}, True, id="an end at the end of time"),
        pytest.param("2020", {"start": "2020-06-01", "end": "2020-03-01"}, False, id="it ends before it starts"),
        pytest.param("lt2020", {"start": 7, "end": "2020-03-01"}, False, id="a start of an odd shape is no open start"),
        pytest.param("gt2020", {"start": "2020-03-01", "end": {}}, False, id="an end of an odd shape is no open end"),
        pytest.param("gt2020", {"start": "2020-03-01", "end": "soon"}, False, id="an end that is no date"),
        pytest.param("gt1900", {}, False, id="neither start nor end"),
    ],
)
def test_a_period_matches_when(criterion: str, stored: Any, expected: bool) -> None:
    assert matches("Observation", f"date={criterion}", effectivePeriod=stored) is expected


@pytest.mark.parametrize(
    ("criterion", "timing", "expected"),
    [
        pytest.param("2020-03", {"event": ["2020-03-05", "2020-03-20"]}, True, id="all events are in the month"),
        pytest.param("2020-03-05", {"event": ["2020-03-05", "2020-03-20"]}, False, id="one event is not enough"),
        pytest.param("sa2020-03-10", {"event": ["2020-03-05", "2020-03-20"]}, False, id="the first event counts"),
        pytest.param("2020-03", {"repeat": {"boundsPeriod": PERIOD}}, True, id="its bounds are in the month"),
        pytest.param("2020-03", {"repeat": {"boundsPeriod": PERIOD}, "event": ["2021"]}, False, id="both count"),
        pytest.param("gt2019", {"repeat": {"boundsDuration": {"value": 3}}}, False, id="a duration is no time"),
        pytest.param("gt2019", {"event": ["2020", 7]}, False, id="an event of an odd shape spoils all"),
        pytest.param("gt2019", {"event": "2020"}, False, id="events that are no list"),
        pytest.param("gt2019", {"code": {"text": "daily"}}, False, id="nothing about time"),
        pytest.param("gt2019", {"event": []}, False, id="no event"),
        pytest.param("gt2019", {"event": ["2020"], "repeat": {"boundsPeriod": {}}}, False, id="bounds without ends"),
    ],
)
def test_a_timing_matches_by_its_outer_limits_when(criterion: str, timing: Any, expected: bool) -> None:
    assert matches("Observation", f"date={criterion}", effectiveTiming=timing) is expected


def test_ne_must_hold_for_every_date() -> None:
    goals = {"target": [{"dueDate": "2020-01-01"}, {"dueDate": "2021-01-01"}]}
    assert not matches("Goal", "target-date=ne2020-01-01", **goals)
    assert matches("Goal", "target-date=ne2022-01-01", **goals)


@pytest.mark.parametrize("stored", [{"abatementAge": {"value": 3}}, {"abatementRange": {"low": {"value": 3}}}])
def test_an_age_is_no_date(stored: dict[str, Any]) -> None:
    assert not matches("Condition", "abatement-date=gt1900", **stored)


def test_last_updated_is_a_date() -> None:
    assert matches("Patient", "_lastUpdated=ge2020", meta={"lastUpdated": "2020-01-01T00:00:00.000+00:00"})


MOMENTS = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
SPANS = st.tuples(st.integers(0, 30), st.integers(1, 30)).map(lambda pair: TimeSpan(pair[0], pair[0] + pair[1]))
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")


@given(MOMENTS, ZONES)
def test_one_moment_is_the_same_in_every_zone(moment: datetime, zone: timezone) -> None:
    utc_moment = moment.replace(tzinfo=UTC)
    assert parse_date(utc_moment.astimezone(zone).isoformat()) == parse_date(utc_moment.isoformat())


@given(MOMENTS, MOMENTS)
def test_spans_stand_in_the_order_of_their_times(first: datetime, second: datetime) -> None:
    difference = (first - second) // timedelta(microseconds=1)
    first_span, second_span = (parse_date(moment.isoformat(timespec="microseconds")) for moment in (first, second))
    assert first_span.start - second_span.start == difference * 1000


@given(MOMENTS)
def test_each_precision_lies_within_the_coarser_ones(moment: datetime) -> None:
    text = moment.isoformat(timespec="microseconds") + "Z"
    precisions = [text[:4], text[:7], text[:10], text[:16] + "Z", text[:19] + "Z", text[:23] + "Z", text]
    spans = [parse_date(precision) for precision in precisions]
    for coarse, fine in pairwise(spans):
        assert coarse.start <= fine.start < fine.end <= coarse.end


@given(SPANS, SPANS)
def test_the_prefixes_keep_their_laws(stored: TimeSpan, criterion: TimeSpan) -> None:
    holds = {prefix: compile_comparison(prefix, criterion)(stored) for prefix in PREFIXES}
    assert holds["ne"] is not holds["eq"]
    assert holds["ge"] is (holds["gt"] or holds["eq"])
    assert holds["le"] is (holds["lt"] or holds["eq"])
    assert holds["gt"] or not holds["sa"]
    assert holds["lt"] or not holds["eb"]
    assert not (holds["sa"] and holds["eb"])
    assert any(holds[prefix] for prefix in ("eq", "gt", "lt"))
    overlaps = stored.start < criterion.end and criterion.start < stored.end
    assert overlaps is not (holds["sa"] or holds["eb"])
