"""billing:report: what was used is told to the provider, for prices that depend on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.billing import Terms, entitle
from core.domain.events import EventType, NewEvent
from core.domain.jobs import Job
from core.domain.payments import MeterReading
from core.domain.plans import Meter
from core.domain.tenants import Actor, worker_actor
from core.domain.usage import next_month
from core.usecases.shared.paying import customer_of
from ports.billing_storage import UsageReport
from ports.clock import Clock
from ports.payments import Payments
from ports.storage import Transaction, UnitOfWork

RETRIED_FOR = timedelta(hours=23)
"""How long a report is sent again that may have arrived: Stripe counts the same identifier once within 24 hours
(https://docs.stripe.com/api/billing/meter-event/create)."""
AT_ONCE = 100


def report_usage(job: Job, *, terms: Terms, payments: Payments, uow: UnitOfWork, clock: Clock) -> None:
    """Sets aside what was used since the last time under an id of its own, and sends all that is set aside: at least
    once, each time under the same id, so that it is counted once. What may have arrived and is too old to be sent again
    is told instead. What was used under a plan that is not sold by use is never reported, whatever plan comes next.

    Raises `PaymentsUnavailable`, `PaymentsRefused` or `LeaseLost`.
    """
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    customer, name = _set_aside(actor, terms, payments, uow=uow, clock=clock)
    while customer is not None and name is not None:
        now = clock.now()
        with uow.begin(actor) as tx:
            tx.jobs.hold(job)
            reports = tx.usages.reports(limit=AT_ONCE)
            doubtful = [one for one in reports if one.tried_at is not None and now - one.tried_at > RETRIED_FOR]
            _give_up(tx, doubtful, now)
            sending = [one for one in reports if one not in doubtful]
            tx.usages.note_reports([one.id for one in sending], tried_at=now, sent_at=None)
            tx.commit()
        if not sending:
            break
        taken = payments.report([_reading(one, customer, name) for one in sending])
        with uow.begin(actor) as tx:
            tx.usages.note_reports(list(taken), tried_at=None, sent_at=clock.now())
            tx.commit()
        if len(taken) < len(sending):
            break  # the next job's, under the same ids
    with uow.begin(actor) as tx:
        tx.jobs.finish(job)
        tx.commit()


def _set_aside(
    actor: Actor, terms: Terms, payments: Payments, *, uow: UnitOfWork, clock: Clock
) -> tuple[str | None, str | None]:
    """The customer, and what the provider calls the meter; None where nothing is to be told."""
    with uow.begin(actor) as tx:
        account = tx.billing.get()
        customer = customer_of(account, payments)
        name = entitle(account, terms, clock.now()).plan.meters.get(Meter.RECORDS)
        if customer is not None:
            if name is not None:
                tx.usages.to_report(Meter.RECORDS, clock.now())
            else:
                tx.usages.forgo(Meter.RECORDS)
            tx.commit()
    return customer, name


def _give_up(tx: Transaction, reports: Sequence[UsageReport], now: datetime) -> None:
    if reports:
        payload = {"records": sum(one.quantity for one in reports), "reports": [str(one.id) for one in reports]}
        tx.events.append([NewEvent(type=EventType.USAGE_DOUBTFUL, payload=payload)])
        tx.usages.note_reports([one.id for one in reports], tried_at=None, sent_at=now)


def _reading(report: UsageReport, customer: str, name: str) -> MeterReading:
    """In the month in which it was used, also when that is over."""
    last = next_month(report.month) - timedelta(seconds=1)
    at = min(report.created_at, last)
    return MeterReading(id=report.id, customer_id=customer, name=name, quantity=Decimal(report.quantity), at=at)
