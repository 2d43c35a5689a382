"""How the promise is kept: what spot checks tell, and a person's word that a stage may decide as before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from core.domain.decisions import Stage
from core.domain.drift import evidence, wanted
from core.domain.events import EventType, NewEvent
from core.domain.promise import ALONE, RATE_DAYS, Figures, figures
from core.domain.tenants import Actor
from core.errors import NotFound
from ports.clock import Clock
from ports.storage import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """By how many steps a stage is tightened, and the precision that it aims at then (None: it decides nothing)."""

    stage: Stage
    strictness: int
    wanted: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What is promised, and what is known of it since the day `since`: in all, of each stage (its share is of all that
    was decided), and of each calendar month in the tenant's time zone, named by its first day, the latest first."""

    promised: float
    since: date
    overall: Figures
    stages: Sequence[tuple[Standing, Figures]]
    months: Sequence[tuple[date, Figures]]


def show_promise(actor: Actor, *, months: int, uow: UnitOfWork, clock: Clock) -> Promise:
    """Of the latest `months` calendar months, the present one among them."""
    now = clock.now()
    with uow.begin(actor) as tx:
        tenant = tx.tenants.get()
        since = _first_day(now.astimezone(tenant.zone).date(), months)
        cells = tx.promises.cells(since, recent=now - timedelta(days=RATE_DAYS))
        strictness = tx.promises.strictness()
    promised = tenant.settings.promise
    decided = sum(cell.decided for cell in cells)
    return Promise(
        promised=promised,
        since=since,
        overall=figures(promised, cells),
        stages=[
            (
                _standing(stage, promised, strictness),
                figures(promised, [c for c in cells if c.stage is stage], of=decided, tightened=strictness[stage] > 0),
            )
            for stage in ALONE
        ],
        months=[
            (month, figures(promised, [c for c in cells if c.month == month]))
            for month in sorted({cell.month for cell in cells}, reverse=True)
        ],
    )


def reset_promise(actor: Actor, stage: Stage, *, uow: UnitOfWork, clock: Clock) -> Standing:
    """The stage decides as if nothing had been found, and its test begins anew with what it decides from now on. Raises
    `NotFound` for a stage that decides nothing alone."""
    if stage not in ALONE:
        raise NotFound("no such stage decides alone")
    with uow.begin(actor) as tx:
        promised = tx.tenants.get().settings.promise
        watch = tx.promises.hold([stage], promised)[stage]
        tx.promises.put([watch.again(clock.now(), promise=promised, strictness=0)])
        tx.events.append([NewEvent(type=EventType.PROMISE_RESET, payload={**evidence(watch), "strictness": 0})])
        tx.commit()
    return _standing(stage, promised, {stage: 0})


def _first_day(today: date, months: int) -> date:
    years, month = divmod(today.year * 12 + today.month - months, 12)
    return date(years, month + 1, 1)


def _standing(stage: Stage, promised: float, strictness: Mapping[Stage, int]) -> Standing:
    steps = strictness[stage]
    return Standing(stage=stage, strictness=steps, wanted=wanted(promised, steps))
