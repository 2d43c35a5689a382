"""billing:sync: a provider is asked what a tenant pays for, and the whole of its answer is written."""

from __future__ import annotations

from core.domain.billing import Account, Terms
from core.domain.events import EventType, NewEvent
from core.domain.jobs import Job
from core.domain.tenants import Actor, worker_actor
from core.usecases.shared.paying import as_provider_has, queue_sync
from core.usecases.shared.settling import settle
from ports.clock import Clock, Ids
from ports.payments import Payments
from ports.storage import Transaction, UnitOfWork

RECONCILE = "reconcile"
"""The reason of a job that was queued although nothing was told: what it finds changed had been lost."""


def sync_billing(job: Job, *, terms: Terms, payments: Payments, uow: UnitOfWork, clock: Clock, ids: Ids) -> None:
    """Asks the provider about the tenant's customer, and writes what is so now: in which order it was told of what, and
    whether at all, does not matter. The account is locked meanwhile, so that an older answer never follows a newer one.

    Raises `PaymentsUnavailable`, `PaymentsRefused` or `LeaseLost`.
    """
    with uow.begin(worker_actor(job.tenant_id, job.source_agent, job.request_id)) as tx:
        account = tx.billing.get(lock=True)
        found, running = as_provider_has(account, payments, clock)
        tx.jobs.hold(job)  # after the answer: the lease is renewed while it is waited for
        if found.subscription != account.subscription:
            repaired = job.payload.get("reason") == RECONCILE and account.fetched_at is not None
            _tell(tx, account, found, repaired=repaired)
        if len(running) > 1:
            payload = {"subscriptions": [one.id for one in running]}
            tx.events.append([NewEvent(type=EventType.SUBSCRIPTIONS_OVERLAP, payload=payload)])
        settle(tx, found, terms, job.max_attempts, clock=clock, ids=ids)
        tx.jobs.finish(job)
        tx.commit()


def refresh_billing(actor: Actor, *, max_attempts: int, uow: UnitOfWork, ids: Ids) -> Job:
    """Queues a job that asks the provider now: who comes back from its pages does not wait for what it tells. Raises
    `NotFound`."""
    with uow.begin(actor) as tx:
        tx.tenants.get()
        job = tx.jobs.get(queue_sync(tx, "asked", actor.request_id, max_attempts, ids=ids))
        tx.commit()
    return job


def _tell(tx: Transaction, before: Account, now: Account, *, repaired: bool) -> None:
    payload = {"before": _shown(before), "now": _shown(now)}
    type = EventType.SUBSCRIPTION_REPAIRED if repaired else EventType.SUBSCRIPTION_CHANGED
    tx.events.append([NewEvent(type=type, payload=payload)])


def _shown(account: Account) -> dict[str, str | None] | None:
    subscription = account.subscription
    if subscription is None:
        return None
    return {
        "status": subscription.status.value,
        "price": subscription.price_id,
        "period_end": subscription.period_end.isoformat(),
        "cancel_at": None if subscription.cancel_at is None else subscription.cancel_at.isoformat(),
    }
