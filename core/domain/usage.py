"""What a tenant used of its plan in a calendar month (UTC)."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from core.domain.plans import Limit, Meter

NOTICES = (80, 100)
"""The percentages of what a plan holds at which people are told."""
FORECAST_AFTER = timedelta(days=1)
"""A month that began less long ago tells nothing of its rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was used of a limit. `forecast` is what it comes to by the month's end if it goes on as so far; None while
    that can't be told."""

    meter: Meter
    month: date
    used: Decimal
    limit: Limit
    forecast: Decimal | None

    @property
    def percent(self) -> float | None:
        """Of what the plan holds; None where that is without a limit, or nothing."""
        return float(100 * self.used / self.limit.soft) if self.limit.soft else None


def crossed(before: Decimal, after: Decimal, soft: Decimal | None) -> tuple[int, ...]:
    """Of the `NOTICES`, those that were reached between. Of nothing, nothing is reached."""
    if not soft:
        return ()
    return tuple(percent for percent in NOTICES if before * 100 < soft * percent <= after * 100)


def forecast(used: Decimal, month: date, now: datetime) -> Decimal | None:
    """In a straight line from the month's beginning."""
    begin = datetime(month.year, month.month, 1, tzinfo=UTC)
    whole = timedelta(days=monthrange(month.year, month.month)[1])
    passed = min(now - begin, whole)
    return None if passed < FORECAST_AFTER else used * Decimal(whole / passed)


def next_month(month: date) -> datetime:
    """When the month after begins."""
    return datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
