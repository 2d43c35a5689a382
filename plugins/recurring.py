"""The rule type `recurring`: a payment that comes again and again, such as a rent, a salary or a subscription.

What it means, exactly. Of a record with an amount, *comparable* are the other records of its counterparty (without
one: of its text) in the same currency and with the same sign whose amount differs from the record's by at most
`amount_tolerance` times the record's. The comparable records of one day count as one payment, those of the record's
own day as the record itself. The record recurs when its day and the days of the latest `occurrences - 1` earlier
comparable payments follow a schedule of the interval: when there is a series of due days, one interval apart, such
that the record's day lies within the tolerance of the last one, the latest earlier payment's within that of the one
before, and so on. Due days of months have the same day of the month, or the month's last where it has no such day.

So payments of quite different amounts in between change nothing, while a missed payment, or one of a comparable amount
that is off the schedule, breaks the series until `occurrences` payments are on one again. Too few earlier payments are
no match; a record without an amount gets no verdict. Days are those of the tenant's time zone.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from sortation import CompiledRule, History, Past, RuleTypeManifest, Sortable, hookimpl

OCCURRENCES = 3
TOLERANCE_DAYS = 3
"""A weekend moves a payment by up to two days, with a public holiday beside it by three."""
AMOUNT_TOLERANCE = 0.1


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

PARAMS_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "interval": {
            "enum": list(INTERVALS),
            "description": "The time between two payments; absent: any of these.",
        },
        "tolerance_days": {
            "type": "integer",
            "minimum": 0,
            "maximum": 15,
            "default": TOLERANCE_DAYS,
            "description": "How many days a payment may come before or after it is due; never more than a seventh of "
            "the interval (one day for weekly, two for fortnightly), since any rhythm would do then.",
        },
        "amount_tolerance": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "default": AMOUNT_TOLERANCE,
            "description": "By how much earlier amounts may differ, as a share of this one: 0.1 is 10 %.",
        },
        "occurrences": {
            "type": "integer",
            "minimum": 2,
            "maximum": 24,
            "default": OCCURRENCES,
            "description": "How many payments make a series, this one among them.",
        },
    },
}


@hookimpl
def sortation_rule_types() -> list[RuleTypeManifest]:
    return [
        RuleTypeManifest(
            key="recurring",
            version="1.0.0",
            title="Recurring payment",
            factory="plugins.recurring:Recurring",
            params_schema=PARAMS_SCHEMA,
        )
    ]


class Recurring:
    def compile(self, params: Mapping[str, Any]) -> CompiledRule:
        intervals = [INTERVALS[params["interval"]]] if "interval" in params else list(INTERVALS.values())
        tolerance = int(params.get("tolerance_days", TOLERANCE_DAYS))
        return _Series(
            intervals=tuple((interval, min(tolerance, interval.shortest // 7)) for interval in intervals),
            amount_tolerance=Decimal(str(params.get("amount_tolerance", AMOUNT_TOLERANCE))),
            occurrences=int(params.get("occurrences", OCCURRENCES)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    """`intervals` each with its tolerance in days."""

    intervals: tuple[tuple[Interval, int], ...]
    amount_tolerance: Decimal
    occurrences: int

    def evaluate(self, records: Sequence[Sortable], history: History) -> Sequence[bool | None]:
        with_amount = [record for record in records if record.amount is not None]
        if not with_amount:
            return [None] * len(records)
        asked = iter(zip(history.days(with_amount), history.of_party(with_amount), strict=True))
        return [
            None if record.amount is None else self._recurs(record, record.amount, *next(asked)) for record in records
        ]

    def _recurs(self, record: Sortable, amount: Decimal, today: date, past: Sequence[Past]) -> bool:
        margin = abs(amount) * self.amount_tolerance
        earlier = {
            other.day
            for other in past
            if other.amount is not None
            and other.currency == record.currency
            and other.day < today
            and abs(other.amount - amount) <= margin
            and _sign(other.amount) == _sign(amount)
        }
        days = [today, *sorted(earlier, reverse=True)[: self.occurrences - 1]]
        return len(days) == self.occurrences and any(
            _on_schedule(days, interval, tolerance) for interval, tolerance in self.intervals
        )


def _on_schedule(days: Sequence[date], interval: Interval, tolerance: int) -> bool:
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
