"""Payments that come again and again: the schedules that they follow, and the series of a party's past."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

TOLERANCE_DAYS = 3
"""A weekend moves a payment by up to two days, with a public holiday beside it by three."""
AMOUNT_TOLERANCE = Decimal("0.1")
"""By how much amounts of a series may differ, as a share of its latest one."""
OCCURRENCES = 3
"""Payments that make a series."""


class Interval(NamedTuple):
    """So many days, or so many calendar months."""

    days: int = 0
    months: int = 0

    @property
    def shortest(self) -> int:
        return self.days or 28 * self.months

    @property
    def longest(self) -> int:
        return self.days or 31 * self.months

    @property
    def a_year(self) -> Decimal:
        """How many payments come in a year, in the mean."""
        return Decimal("365.25") / self.days if self.days else Decimal(12) / self.months


INTERVALS: Mapping[str, Interval] = {
    "weekly": Interval(days=7),
    "fortnightly": Interval(days=14),
    "four-weekly": Interval(days=28),
    "monthly": Interval(months=1),
    "two-monthly": Interval(months=2),
    "quarterly": Interval(months=3),
    "half-yearly": Interval(months=6),
    "yearly": Interval(months=12),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    day: date
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Payments of one party in one currency that follow a schedule: their interval by its name, the latest one, how
    many there are in a row, since when, and on which day the next is due."""

    interval: str
    latest: Payment
    payments: int
    since: date
    due: date


def series_in(payments: Sequence[Payment]) -> list[Series]:
    """The series among a party's payments in one currency, the one with the latest payment first: of amounts that are
    close to each other and have one sign, on a schedule up to the latest of them. Each payment is of one series at
    most; those of one day and close amounts count as one."""
    left = sorted(payments, key=lambda payment: (payment.day, payment.amount), reverse=True)
    found: list[Series] = []
    while left:
        latest, rest = left[0], left[1:]
        margin = abs(latest.amount) * AMOUNT_TOLERANCE  # as `comparable` says, computed once for all
        low, high = latest.amount - margin, latest.amount + margin
        days = [
            latest.day,
            *sorted({p.day for p in rest if low <= p.amount <= high and p.day < latest.day}, reverse=True),
        ]
        runs = {name: n for name, interval in INTERVALS.items() if (n := _run(days, interval))}
        if not runs:
            left = rest
            continue
        # Monthly payments may pass for four-weekly ones, three times: then the interval that is nearer to them counts.
        name = max(runs, key=lambda one: (runs[one], -_off(days[: runs[one]], INTERVALS[one])))
        count = runs[name]
        used = set(days[:count])
        found.append(
            Series(
                interval=name,
                latest=latest,
                payments=count,
                since=days[count - 1],
                due=_after(latest.day, INTERVALS[name]),
            )
        )
        left = [p for p in rest if p.day not in used or not low <= p.amount <= high]
    return found


def _run(days: Sequence[date], interval: Interval) -> int:
    """How many of the days, the latest first, follow a schedule of the interval; 0 where they are too few."""
    tolerance = tolerance_of(interval, TOLERANCE_DAYS)
    if len(days) < OCCURRENCES or not on_schedule(days[:OCCURRENCES], interval, tolerance):
        return 0
    count = OCCURRENCES
    while count < len(days) and on_schedule(days[count - OCCURRENCES + 1 : count + 1], interval, tolerance):
        count += 1
    return count


def _off(days: Sequence[date], interval: Interval) -> float:
    """By how many days, in the mean, the time between payments differs from the interval."""
    length = interval.days or interval.months * 365.25 / 12
    return abs((days[0] - days[-1]).days / (len(days) - 1) - length)


def _after(day: date, interval: Interval) -> date:
    if interval.days:
        return day + timedelta(days=interval.days)
    return _in_month(day.year * 12 + day.month - 1 + interval.months, day.day)


def comparable(amount: Decimal, to: Decimal, tolerance: Decimal = AMOUNT_TOLERANCE) -> bool:
    """Whether an amount has the sign of the other one and differs from it by at most `tolerance` times that."""
    return _sign(amount) == _sign(to) and abs(amount - to) <= abs(to) * tolerance


def tolerance_of(interval: Interval, wanted: int) -> int:
    """Days by which a payment may be early or late: at most a seventh of the interval, since any rhythm would do
    then."""
    return min(wanted, interval.shortest // 7)


def on_schedule(days: Sequence[date], interval: Interval, tolerance: int) -> bool:
    """Whether `days`, the latest first, are each within `tolerance` of a due day, the due days an interval apart."""
    if not interval.shortest - 2 * tolerance <= (days[0] - days[1]).days <= interval.longest + 2 * tolerance:
        return False
    shifts = (timedelta(days=shift) for shift in range(-tolerance, tolerance + 1))
    return any(
        all(abs((day - due).days) <= tolerance for day, due in zip(days, due_days, strict=True))
        for shift in shifts
        for due_days in _schedules(days[0] + shift, interval, len(days))
    )


def _schedules(last: date, interval: Interval, count: int) -> Iterator[list[date]]:
    """Every `count` due days that end with `last`, the latest first: one series, but where `last` ends its month, since
    it may stand for a later day that this month lacks."""
    if interval.days:
        yield [last - timedelta(days=interval.days * step) for step in range(count)]
        return
    month = last.year * 12 + last.month - 1
    latest = 31 if last.day == _month_length(month) else last.day
    for day in range(last.day, latest + 1):
        yield [_in_month(month - interval.months * step, day) for step in range(count)]


def _in_month(month: int, day: int) -> date:
    """That day of a month (counted from the year 0), or the month's last where it is shorter."""
    return date(month // 12, month % 12 + 1, min(day, _month_length(month)))


def _month_length(month: int) -> int:
    return monthrange(month // 12, month % 12 + 1)[1]


def _sign(amount: Decimal) -> int:
    return (amount > 0) - (amount < 0)
