"""Periods of reports: given by their days, or relative to a day; and the parts that they are told in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from core.errors import Invalid

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2200, 12, 31)
"""Between which records lie."""
MOST_PARTS = 5_000
"""Of a period that is told part by part."""


class Granularity(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Relative(StrEnum):
    """Weeks begin on Monday. `last_30_days` and the like end with the day before; `this_…` are whole, their end may lie
    ahead."""

    YESTERDAY = "yesterday"
    LAST_7_DAYS = "last_7_days"
    LAST_30_DAYS = "last_30_days"
    LAST_90_DAYS = "last_90_days"
    LAST_365_DAYS = "last_365_days"
    THIS_WEEK = "this_week"
    LAST_WEEK = "last_week"
    THIS_MONTH = "this_month"
    LAST_MONTH = "last_month"
    THIS_QUARTER = "this_quarter"
    LAST_QUARTER = "last_quarter"
    THIS_YEAR = "this_year"
    LAST_YEAR = "last_year"
    EVER = "ever"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Calendar days in the tenant's time zone, both included."""

    since: date
    until: date


Period = Span | Relative


def check_span(span: Span, field: str = "period") -> None:
    """Raises `Invalid` at that field."""
    if not FIRST_DAY <= span.since <= span.until <= LAST_DAY:
        said = "a period begins on or before its last day, between the years 1900 and 2200"
        raise Invalid(said, fields={field: ["Begins on or before its last day, between the years 1900 and 2200."]})


def span_of(period: Period, today: date) -> Span:
    """The days that are meant on the day `today`."""
    if isinstance(period, Span):
        return period
    if period is Relative.EVER:
        return Span(since=FIRST_DAY, until=LAST_DAY)
    yesterday = today - timedelta(days=1)
    if period is Relative.YESTERDAY:
        return Span(since=yesterday, until=yesterday)
    which, _, unit = period.value.partition("_")
    if unit.endswith("_days"):
        return Span(since=today - timedelta(days=int(unit.removesuffix("_days"))), until=yesterday)
    granularity = Granularity(unit)
    first = part_of(today, granularity)
    if which == "last":
        first = part_of(first - timedelta(days=1), granularity)
    return Span(since=first, until=next_part(first, granularity) - timedelta(days=1))


def span_before(period: Period, today: date) -> Span:
    """What a period is compared with: the calendar unit before it, or as many days. Raises `Invalid` where there are
    none."""
    span = span_of(period, today)
    if isinstance(period, Relative) and period is not Relative.EVER:
        unit = period.value.partition("_")[2]
        if unit in {one.value for one in Granularity}:
            last = span.since - timedelta(days=1)
            return Span(since=part_of(last, Granularity(unit)), until=last)
    days = (span.until - span.since).days + 1
    if (span.since - FIRST_DAY).days < days:
        raise Invalid(
            "there is no period of this length before it: say what to compare with",
            fields={"compare": ["There is no period of this length before it: say what to compare with."]},
        )
    return Span(since=span.since - timedelta(days=days), until=span.since - timedelta(days=1))


def part_of(day: date, granularity: Granularity) -> date:
    """The first day of the part of time that the day lies in."""
    match granularity:
        case Granularity.DAY:
            return day
        case Granularity.WEEK:
            return day - timedelta(days=day.weekday())
        case Granularity.MONTH:
            return day.replace(day=1)
        case Granularity.QUARTER:
            return date(day.year, day.month - (day.month - 1) % 3, 1)
        case Granularity.YEAR:
            return date(day.year, 1, 1)


def next_part(first: date, granularity: Granularity) -> date:
    """The first day of the part after the one that begins on `first`."""
    match granularity:
        case Granularity.DAY:
            return first + timedelta(days=1)
        case Granularity.WEEK:
            return first + timedelta(days=7)
        case _:
            months = {Granularity.MONTH: 1, Granularity.QUARTER: 3, Granularity.YEAR: 12}[granularity]
            year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
            return date(year, month + 1, 1)


def parts_of(span: Span, granularity: Granularity) -> Iterator[date]:
    """The first days of all parts that the span touches, in order."""
    part = part_of(span.since, granularity)
    while part <= span.until:
        yield part
        part = next_part(part, granularity)


def check_parts(span: Span, granularity: Granularity) -> None:
    """Raises `Invalid` for a period of very many parts."""
    shortest = {Granularity.DAY: 1, Granularity.WEEK: 7, Granularity.MONTH: 28}.get(granularity, 90)
    if ((span.until - span.since).days + 1) / shortest > MOST_PARTS:
        raise Invalid(
            f"a period may have {MOST_PARTS} parts: take longer ones, or a shorter period",
            fields={"granularity": [f"Those are more than {MOST_PARTS}: take longer ones, or a shorter period."]},
        )
