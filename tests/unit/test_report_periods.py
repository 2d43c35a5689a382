"""Periods of reports, and their schedules, also where clocks are put forward and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.report_periods import (
    Granularity,
    Relative,
    Span,
    check_parts,
    next_part,
    part_of,
    parts_of,
    span_before,
    span_of,
)
from core.domain.report_schedules import Every, Schedule, check_schedule, latest_slot, next_slot
from core.errors import Invalid

BERLIN = ZoneInfo("Europe/Berlin")
TODAY = date(2026, 3, 4)  # a Wednesday
DAYS = st.dates(date(1901, 1, 1), date(2199, 12, 31))
ZONES = st.sampled_from(
    [ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "UTC")]
)
SCHEDULES = st.one_of(
    st.builds(Schedule, every=st.just(Every.DAY), hour=st.integers(0, 23)),
    st.builds(Schedule, every=st.just(Every.WEEK), hour=st.integers(0, 23), weekday=st.integers(1, 7)),
    st.builds(Schedule, every=st.just(Every.MONTH), hour=st.integers(0, 23), day=st.integers(1, 31)),
)
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("period", "since", "until"),
    [
        (Relative.YESTERDAY, (2026, 3, 3), (2026, 3, 3)),
        (Relative.LAST_7_DAYS, (2026, 2, 25), (2026, 3, 3)),
        (Relative.LAST_30_DAYS, (2026, 2, 2), (2026, 3, 3)),
        (Relative.THIS_WEEK, (2026, 3, 2), (2026, 3, 8)),
        (Relative.LAST_WEEK, (2026, 2, 23), (2026, 3, 1)),
        (Relative.THIS_MONTH, (2026, 3, 1), (2026, 3, 31)),
        (Relative.LAST_MONTH, (2026, 2, 1), (2026, 2, 28)),
        (Relative.THIS_QUARTER, (2026, 1, 1), (2026, 3, 31)),
        (Relative.LAST_QUARTER, (2025, 10, 1), (2025, 12, 31)),
        (Relative.THIS_YEAR, (2026, 1, 1), (2026, 12, 31)),
        (Relative.LAST_YEAR, (2025, 1, 1), (2025, 12, 31)),
    ],
)
def test_relative_periods(period: Relative, since: tuple[int, ...], until: tuple[int, ...]) -> None:
    assert span_of(period, TODAY) == Span(since=date(*since), until=date(*until))


@pytest.mark.parametrize(
    ("period", "since", "until"),
    [
        (Relative.LAST_MONTH, (2026, 1, 1), (2026, 1, 31)),
        (Relative.THIS_QUARTER, (2025, 10, 1), (2025, 12, 31)),
        (Relative.LAST_7_DAYS, (2026, 2, 18), (2026, 2, 24)),
        (Span(since=date(2026, 3, 1), until=date(2026, 3, 31)), (2026, 1, 29), (2026, 2, 28)),
    ],
)
def test_what_a_period_is_compared_with(
    period: Relative | Span, since: tuple[int, ...], until: tuple[int, ...]
) -> None:
    assert span_before(period, TODAY) == Span(since=date(*since), until=date(*until))


def test_nothing_is_before_ever() -> None:
    with pytest.raises(Invalid, match="compare"):
        span_before(Relative.EVER, TODAY)


@given(day=DAYS, granularity=st.sampled_from(Granularity))
def test_a_day_lies_in_its_part_and_parts_follow_each_other(day: date, granularity: Granularity) -> None:
    first = part_of(day, granularity)
    following = next_part(first, granularity)
    assert first <= day < following
    assert part_of(following, granularity) == following
    assert part_of(following - timedelta(days=1), granularity) == first


@given(period=st.sampled_from(list(Relative)), today=DAYS)
def test_spans_end_after_they_begin(period: Relative, today: date) -> None:
    span = span_of(period, today)
    assert span.since <= span.until
    if period is not Relative.EVER:
        assert span_before(period, today).until < span.since


def test_all_parts_that_a_span_touches_are_told() -> None:
    span = Span(since=date(2026, 1, 31), until=date(2026, 3, 1))
    assert [f"{part:%m-%d}" for part in parts_of(span, Granularity.MONTH)] == ["01-01", "02-01", "03-01"]
    assert next(parts_of(span, Granularity.WEEK)) == date(2026, 1, 26)
    check_parts(span, Granularity.DAY)
    with pytest.raises(Invalid, match="5000 parts"):
        check_parts(Span(since=date(2000, 1, 1), until=date(2026, 1, 1)), Granularity.DAY)


def at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type, misc]


def slots(schedule: Schedule, after: datetime, count: int) -> list[str]:
    found = []
    for _ in range(count):
        after = next_slot(schedule, after, BERLIN)
        found.append(f"{after:%d %H:%M}")
    return found


def test_an_hour_that_clocks_skip_is_the_first_instant_after() -> None:
    two = Schedule(every=Every.DAY, hour=2)
    assert slots(two, at(2026, 3, 27, 12), 3) == ["28 01:00", "29 01:00", "30 00:00"], "3 o'clock on the 29th"


def test_an_hour_that_comes_twice_is_the_first_of_the_two() -> None:
    two = Schedule(every=Every.DAY, hour=2)
    assert slots(two, at(2026, 10, 23, 12), 3) == ["24 00:00", "25 00:00", "26 01:00"]


def test_weeks_and_months_have_one_slot_each() -> None:
    assert slots(Schedule(every=Every.WEEK, hour=7, weekday=1), at(2026, 3, 4), 2) == ["09 06:00", "16 06:00"]
    last = Schedule(every=Every.MONTH, hour=0, day=31)
    assert slots(last, at(2026, 1, 1), 3) == ["30 23:00", "27 23:00", "30 22:00"], "31 Jan, 28 Feb, 31 Mar there"


@given(schedule=SCHEDULES, instant=INSTANTS, zone=ZONES)
def test_slots_rise_and_none_is_left_out(schedule: Schedule, instant: datetime, zone: ZoneInfo) -> None:
    check_schedule(schedule)
    following = next_slot(schedule, instant, zone)
    latest = latest_slot(schedule, following, zone)
    assert instant < following == latest
    assert latest_slot(schedule, instant, zone) <= instant
    assert next_slot(schedule, latest_slot(schedule, instant, zone), zone) == following
    longest = {Every.DAY: timedelta(days=1), Every.WEEK: timedelta(days=7), Every.MONTH: timedelta(days=31)}
    assert following - instant <= longest[schedule.every] + timedelta(hours=1)


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(every=Every.DAY, hour=24),
        Schedule(every=Every.DAY, hour=1, weekday=1),
        Schedule(every=Every.WEEK, hour=1),
        Schedule(every=Every.MONTH, hour=1, day=32),
    ],
)
def test_what_is_no_schedule_is_refused(schedule: Schedule) -> None:
    with pytest.raises(Invalid):
        check_schedule(schedule)
