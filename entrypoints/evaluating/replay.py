"""Replay: a tenant's life from the first record on. Nobody knows anything before; what is decided alone is measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.domain.decisions import Stage
from core.domain.promise import Check, estimate, tally
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
    accept_rules: bool,
    tell: Callable[[int], None],
) -> dict[str, Any]:
    """Lives through the rows in their order; `tell` is told how many are done. With `accept_rules` somebody accepts,
    after each batch, the rules that are proposed and expected to keep the promise. Seconds are wall-clock time."""
    started = time.monotonic()
    settings = TenantSettings(promise=promise, spot_check_share=spot_checks)
    life = Life.begin(container, settings, sorted({row.category for row in rows}))
    truth = {str(place): row.category for place, row in enumerate(rows)}
    seen: list[Seen] = []
    answers = accepted = begin = 0
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
        if accept_rules:
            accepted += life.accept_rules(promise)
        begin = end
        tell(min(begin, len(rows)))
    alone = [s.decided for s in seen if s.decided.alone]
    periods = dict.fromkeys(s.period for s in seen)
    return {
        "periods": [_told(period, [s for s in seen if s.period == period]) for period in periods],
        "automation": round(len(alone) / max(len(seen), 1), 4),
        "precision": _share(alone),
        "by_stage": {
            stage: {"decided": len(decided), "precision": _share(decided)}
            for stage in sorted({str(one.stage) for one in alone})
            if (decided := [one for one in alone if one.stage == stage])
        },
        "answers": answers,
        "rules_accepted": accepted,
        "seconds": round(time.monotonic() - started, 1),
    }


def _period(rows: Sequence[Row], place: int, *, dated: bool) -> str:
    """The quarter, or the tenth of the rows."""
    if not dated:
        return f"{place * _PERIODS // len(rows) + 1}/{_PERIODS}"
    day = rows[place].occurred_at
    return f"{day.year}Q{(day.month + 2) // 3}"


def _told(period: str, seen: Sequence[Seen]) -> dict[str, Any]:
    alone = [s for s in seen if s.decided.alone]
    found = estimate(tally(_check(s.decided) for s in alone if s.checked))
    return {
        "period": period,
        "records": len(seen),
        "automated": len(alone),
        "precision": _share([s.decided for s in alone]),
        "estimated_precision": None if found is None else round(found.precision, 4),
        "interval": None if found is None else [round(found.low, 4), round(found.high, 4)],
        "checks": 0 if found is None else found.checked,
    }


def _check(one: Decided) -> Check:
    """What a person's answer to the spot check tells."""
    return Check(
        stage=Stage(one.stage or ""), probability=one.selection_probability, right=one.category == one.row.category
    )


def _share(decided: Sequence[Decided]) -> float | None:
    """The share whose category is the true one."""
    if not decided:
        return None
    return round(sum(one.category == one.row.category for one in decided) / len(decided), 4)
