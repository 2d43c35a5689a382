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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from core.domain.recurrences import (
    AMOUNT_TOLERANCE,
    INTERVALS,
    OCCURRENCES,
    TOLERANCE_DAYS,
    Interval,
    comparable,
    on_schedule,
    tolerance_of,
)
from sortation import CompiledRule, History, Past, RuleTypeManifest, Sortable, hookimpl

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
            "default": float(AMOUNT_TOLERANCE),
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
            intervals=tuple((interval, tolerance_of(interval, tolerance)) for interval in intervals),
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
        earlier = {
            other.day
            for other in past
            if other.amount is not None
            and other.currency == record.currency
            and other.day < today
            and comparable(other.amount, amount, self.amount_tolerance)
        }
        days = [today, *sorted(earlier, reverse=True)[: self.occurrences - 1]]
        return len(days) == self.occurrences and any(
            on_schedule(days, interval, tolerance) for interval, tolerance in self.intervals
        )
