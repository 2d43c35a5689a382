"""What tenants no longer want to be kept goes: records, and who acted in the log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.tenants import Tenant, worker_actor
from core.usecases.shared.teaching import queue_refit
from ports.clock import Clock, Ids
from ports.storage import UnitOfWork
from ports.system import SystemStorage

RECORDS_AT_ONCE = 1_000
BATCHES_AT_ONCE = 5_000
_TENANTS_AT_ONCE = 500


def expire_records(*, refit_delay: float, system: SystemStorage, uow: UnitOfWork, clock: Clock, ids: Ids) -> int:
    """Removes the records that are older than their tenants keep them, some in a transaction, and tells how many by an
    event each; what was learned from them goes with the next refit. Returns how many."""
    gone = 0
    for tenant in _tenants(system):
        if tenant.settings.record_retention_days is not None:
            gone += _expire(tenant, tenant.settings.record_retention_days, refit_delay, uow, clock, ids)
    return gone


def forget_callers(*, system: SystemStorage) -> int:
    """Forgets who acted and from where, in what is older than tenants keep that; returns in how many transactions'
    events."""
    forgotten = 0
    while now := system.forget_callers(BATCHES_AT_ONCE):
        forgotten += now
    return forgotten


def _expire(tenant: Tenant, days: int, refit_delay: float, uow: UnitOfWork, clock: Clock, ids: Ids) -> int:
    now, actor = clock.now(), worker_actor(tenant.id)
    before = now.astimezone(tenant.zone).date() - timedelta(days=days)
    gone, after = 0, None
    while True:
        with uow.begin(actor) as tx:
            removed = tx.records.expire(before, after=after, limit=RECORDS_AT_ONCE)
            if not removed:
                return gone
            told = {"records": len(removed), "before": before.isoformat()}
            tx.events.append([NewEvent(type=EventType.RECORDS_EXPIRED, payload=told)])
            tx.llm_answers.forget(now - timedelta(days=days))  # they quote what they were asked about
            queue_refit(tx, actor, ids, refit_delay)
            tx.commit()
        gone, after = gone + len(removed), removed[-1]


def _tenants(system: SystemStorage) -> Iterator[Tenant]:
    after: UUID | None = None
    while page := system.tenants(after=after, limit=_TENANTS_AT_ONCE):
        yield from page
        after = page[-1].id
