"""Replay: a tenant's life from the first record on. Nobody knows anything before; what is decided alone is measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.domain.rule_standing import wilson
from core.domain.tenants import TenantSettings
from entrypoints.container import Container
from entrypoints.evaluating.life import Decided, Life
from entrypoints.evaluating.rows import Row

_FEW = 1_000
"""Records in the beginning that come in smaller batches, as people answer sooner while they answer all."""
_SMALLER = 5
_PERIODS = 10
"""Of rows without dates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A row's decision, its period, and whether a person checked it though it was decided alone."""

    decided: Decided
    period: str
    checked: bool


def replay(
    container: Container,
    rows: Sequence[Row],
    *,
    promise: float,
    spot_checks: float,
    batch: int,
    dated: bool,
    tell: Callable[[int], None],
) -> dict[str, Any]:
    """Lives through the rows in their order; `tell` is told how many are done. Seconds are wall-clock time."""
    started = time.monotonic()
    life = Life(container, TenantSettings(promise=promise, spot_check_share=spot_checks))
    life.know(sorted({row.category for row in rows}))
    truth = {str(place): row.category for place, row in enumerate(rows)}
    seen: list[Seen] = []
    answers = begin = 0
    while begin < len(rows):
        end = begin + (batch if begin >= _FEW else max(1, batch // _SMALLER))
        decided = life.arrive(rows[begin:end])
        checked = life.waiting()
        seen += [
            Seen(
                decided=one,
                period=_period(rows, begin + place, dated=dated),
                checked=one.alone and str(begin + place) in checked,
            )
            for place, one in enumerate(decided)
        ]
        answers += life.answer(truth)
        begin = end
        tell(min(begin, len(rows)))
    alone = [s.decided for s in seen if s.decided.alone]
    periods = dict.fromkeys(s.period for s in seen)
    return {
        "periods": [_told(period, [s for s in seen if s.period == period]) for period in periods],
        "automation": round(len(alone) / max(len(seen), 1), 4),
        "precision": _share(alone),
        "answers": answers,
        "seconds": round(time.monotonic() - started, 1),
    }


def _period(rows: Sequence[Row], place: int, *, dated: bool) -> str:
    """The quarter, or the tenth of the rows."""
    if not dated:
        return f"{place * _PERIODS // len(rows) + 1}/{_PERIODS}"
    day = rows[place].day
    return f"{day.year}Q{(day.month + 2) // 3}"


def _told(period: str, seen: Sequence[Seen]) -> dict[str, Any]:
    alone = [s for s in seen if s.decided.alone]
    checked = [s.decided for s in alone if s.checked]
    weights = [(1 / one.selection_probability, one.category == one.row.category) for one in checked]
    estimate = interval = None
    if weights:
        total, squares = sum(w for w, _ in weights), sum(w * w for w, _ in weights)
        estimate = sum(w for w, right in weights if right) / total
        effective = total * total / squares
        interval = [round(bound, 4) for bound in wilson(estimate * effective, effective)]
    return {
        "period": period,
        "records": len(seen),
        "automated": len(alone),
        "precision": _share([s.decided for s in alone]),
        "estimated_precision": None if estimate is None else round(estimate, 4),
        "interval": interval,
        "checks": len(weights),
    }


def _share(decided: Sequence[Decided]) -> float | None:
    """The share whose category is the true one."""
    if not decided:
        return None
    return round(sum(one.category == one.row.category for one in decided) / len(decided), 4)
