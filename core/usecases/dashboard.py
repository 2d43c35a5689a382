"""The dashboard: one look at what came, who decided it, whether that keeps the promise, what waits, what it costs."""

from __future__ import annotations

from datetime import timedelta

from core.domain.billing import Terms
from core.domain.dashboard import Dashboard, LlmBill, days_of
from core.domain.llm_spending import months_before
from core.domain.promise import RATE_DAYS, figures
from core.domain.tenants import Actor
from core.usecases.shared.llm_means import llm_means, llm_months
from ports.clock import Clock
from ports.kept import Kept
from ports.llm import Llm
from ports.storage import UnitOfWork

DAYS = 30
PROMISE_MONTHS = 12
"""Calendar months that the promise's figures are of, the present one among them."""


def show_dashboard(
    actor: Actor, *, terms: Terms, uow: UnitOfWork, llm: Llm | None, clock: Clock, kept: Kept, days: int = DAYS
) -> Dashboard:
    """Of the latest `days` days in the tenant's time zone, the present one among them. It may be some seconds old:
    `as_of` says from when it is. Raises `Transient`."""

    def compute() -> Dashboard:
        return _dashboard(actor, days, terms, uow, llm, clock)

    return kept.get(("dashboard", actor.tenant_id, days), compute)


def _dashboard(actor: Actor, days: int, terms: Terms, uow: UnitOfWork, llm: Llm | None, clock: Clock) -> Dashboard:
    now = clock.now()
    with uow.begin(actor) as tx:
        tenant = tx.tenants.get()
        today = now.astimezone(tenant.zone).date()
        since, promise_since = today - timedelta(days=days - 1), months_before(today.replace(day=1), PROMISE_MONTHS - 1)
        counts = tx.overviews.counts(since, today)
        cells = tx.promises.cells(promise_since, recent=now - timedelta(days=RATE_DAYS))
        queue, connections = tx.overviews.queue(), tx.overviews.connections()
        means = llm_means(tx, llm_months(tx, 1, clock)[0], llm, terms, clock)

    return Dashboard(
        as_of=now,
        time_zone=tenant.time_zone,
        days=days_of(counts, since, today),
        promised=tenant.settings.promise,
        promise_since=promise_since,
        promise=figures(tenant.settings.promise, cells),
        queue=queue,
        llm=LlmBill(
            month=means.month.month,
            spent=means.month.spend.cost,
            reserved=means.month.reserved,
            cap=means.cap,
            left=means.left,
            off=means.off,
        ),
        connections=connections,
    )
