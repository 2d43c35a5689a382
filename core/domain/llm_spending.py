"""What a tenant's questions to the LLM took, by calendar month (UTC)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from core.domain.llm import LlmUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmSpend:
    """What is to be added to a month, or what a month adds up to.

    `records` were answered by calls, `cached` without one: by an answer that was kept, or together with an equal
    record. `calls`, `failed`, `estimated` and the tokens are those of `LlmUsage`; `cost` is in US dollars and without
    the `unpriced` calls; `seconds` is the time that calls took, side by side ones added up.
    """

    calls: int = 0
    failed: int = 0
    estimated: int = 0
    unpriced: int = 0
    records: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = Decimal(0)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmMonth:
    """A month, named by its first day. `reserved` (US dollars) is for calls under way, or whose worker was lost
    before it could tell what they took: it counts against the cap as if it were spent."""

    month: date
    spend: LlmSpend
    reserved: Decimal

    def left(self, cap: Decimal) -> Decimal:
        """What a cap still allows; never below 0."""
        return max(Decimal(0), cap - self.spend.cost - self.reserved)


def month_of(now: datetime) -> date:
    """The first day of the calendar month, in UTC."""
    return now.astimezone(UTC).date().replace(day=1)


def months_before(month: date, count: int) -> date:
    """The first day of the month `count` months earlier."""
    years, index = divmod(month.year * 12 + month.month - 1 - count, 12)
    return date(years, index + 1, 1)


def spend_of(usage: LlmUsage, records: int) -> LlmSpend:
    """What answering so many records by these calls adds."""
    return LlmSpend(
        calls=usage.calls,
        failed=usage.failed,
        estimated=usage.estimated,
        unpriced=usage.calls if usage.cost is None else 0,
        records=records,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cost=usage.cost or Decimal(0),
        seconds=usage.seconds,
    )
