"""How well it goes, at a glance: what came, who decided it, what waits, what it costs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from core.domain.decisions import Stage
from core.domain.promise import ALONE, Figures

MAX_DAYS = 366
DISABLED = "disabled"
"""What connections count as that people disabled, whatever their health."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What was sorted on a calendar day in the tenant's time zone: by a stage alone (`rules`, `similarity`, `llm`), or
    asked of a person (`human`). `history` came sorted by people, and `other` was skipped by a rule or failed."""

    day: date
    rules: int = 0
    similarity: int = 0
    llm: int = 0
    human: int = 0
    history: int = 0
    other: int = 0

    @property
    def alone(self) -> int:
        return self.rules + self.similarity + self.llm

    @property
    def records(self) -> int:
        return self.alone + self.human + self.history + self.other


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What waits for a person: how many items, and since when the oldest and the middle one of them do (None: none)."""

    size: int
    oldest: datetime | None
    median: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmBill:
    """What the LLM took this calendar month (UTC), in US dollars: what was `spent`, what is `reserved` for calls under
    way, and what the `cap` still allows (None: there is none). `off` says why it is not asked; None if it is."""

    month: date
    spent: Decimal
    reserved: Decimal
    cap: Decimal | None
    left: Decimal | None
    off: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """As of an instant: `days` in order, the present one last; `promise` since `promise_since`; connections by their
    health, `DISABLED` ones apart."""

    as_of: datetime
    time_zone: str
    days: Sequence[Day]
    promised: float
    promise_since: date
    promise: Figures
    queue: Queue
    llm: LlmBill
    connections: Mapping[str, int]

    @property
    def records(self) -> int:
        return sum(day.records for day in self.days)

    @property
    def automation(self) -> float | None:
        """The share that was decided alone, of what was decided alone or asked of a person; None without any."""
        return automation(self.days)


def automation(days: Iterable[Day]) -> float | None:
    alone, asked = 0, 0
    for day in days:
        alone, asked = alone + day.alone, asked + day.human
    return alone / (alone + asked) if alone + asked else None


def days_of(counts: Iterable[tuple[date, str, str, int]], since: date, until: date) -> Sequence[Day]:
    """Each day from `since` to `until`, also those without records, out of (day, stage, status, records) as decisions
    were counted."""
    found: dict[date, Counter[str]] = defaultdict(Counter)
    for day, stage, status, records in counts:
        found[day][_part(stage, status)] += records
    days = (since + timedelta(days=n) for n in range((until - since).days + 1))
    return [Day(day=day, **found[day]) if day in found else Day(day=day) for day in days]


def _part(stage: str, status: str) -> str:
    if status == "processed" and stage in ALONE:
        return stage
    if status == "needs_review":
        return "human"
    return "history" if stage == Stage.HUMAN else "other"
