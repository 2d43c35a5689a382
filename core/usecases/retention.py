"""What tenants no longer want to be kept goes: records, and who acted in the log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from core.domain.billing import Terms, kept_days
from core.domain.events import EventType, NewEvent
from core.domain.tenants import Tenant, worker_actor
from core.errors import NotFound
from core.usecases.shared.admitting import entitled
from core.usecases.shared.receipts import queue_matching_anew
from core.usecases.shared.settling import settle
from core.usecases.shared.teaching import queue_refit
from ports.clock import Clock, Ids
from ports.files import FileStore
from ports.storage import UnitOfWork
from ports.system import SystemStorage

RECORDS_AT_ONCE = 1_000
RECEIPTS_AT_ONCE = 100
BATCHES_AT_ONCE = 5_000
_TENANTS_AT_ONCE = 500


def expire_records(
    *,
    refit_delay: float,
    max_attempts: int,
    terms: Terms,
    system: SystemStorage,
    uow: UnitOfWork,
    files: FileStore,
    clock: Clock,
    ids: Ids,
) -> int:
    """Removes the records that are older than their tenants or their plans keep them, some in a transaction, and tells
    how many by an event each; what was learned from them goes with the next refit. Receipts of no record that were
    uploaded as long ago go, too. Returns how many records. What fails for one tenant is raised when all others had
    their turn."""
    gone, failures = 0, list[Exception]()
    by_plan = any(plan.retention_days is not None for plan in terms.catalog.plans)
    for tenant in _tenants(system):
        if by_plan or tenant.settings.record_retention_days is not None:
            try:
                if by_plan:
                    _begin_plan(tenant.id, terms, max_attempts, uow=uow, clock=clock, ids=ids)
                for removed in _expire(tenant.id, refit_delay, terms, uow, clock, ids):
                    gone += removed
                while _expire_receipts(tenant.id, terms, uow, files, clock) == RECEIPTS_AT_ONCE:
                    pass
            except NotFound:
                continue  # it was erased meanwhile
            except Exception as failure:  # whatever it is, the others' records go
                failures.append(failure)
    if failures:
        raise failures[0]
    return gone


def forget_callers(*, system: SystemStorage) -> int:
    """Forgets who acted and from where, in what is older than tenants keep that; returns in how many transactions'
    events."""
    forgotten = 0
    while now := system.forget_callers(BATCHES_AT_ONCE):
        forgotten += now
    return forgotten


def _begin_plan(tenant_id: UUID, terms: Terms, max_attempts: int, *, uow: UnitOfWork, clock: Clock, ids: Ids) -> None:
    """Notes from when on a tenant has its plan, where nobody did: what it keeps counts from then."""
    with uow.begin(worker_actor(tenant_id)) as tx:
        told = tx.billing.get().told
        if told is None or entitled(tx, terms, clock).told(told.plan_since) != told:
            settle(tx, tx.billing.get(lock=True), terms, max_attempts, clock=clock, ids=ids)
            tx.commit()


def _expire(
    tenant_id: UUID, refit_delay: float, terms: Terms, uow: UnitOfWork, clock: Clock, ids: Ids
) -> Iterator[int]:
    """How many went, by transaction. Each asks how long the tenant keeps records, since its owners may change their
    minds while it lasts."""
    actor, after = worker_actor(tenant_id), None
    while True:
        now = clock.now()
        with uow.begin(actor) as tx:
            tenant = tx.tenants.get()
            days = kept_days(tx.billing.get(), terms, tenant.settings.record_retention_days, now)
            if days is None:
                return
            before = now.astimezone(tenant.zone).date() - timedelta(days=days)
            removed = tx.records.expire(before, after=after, limit=RECORDS_AT_ONCE)
            if not removed:
                return
            told = {"records": len(removed), "before": before.isoformat()}
            tx.events.append([NewEvent(type=EventType.RECORDS_EXPIRED, payload=told)])
            tx.llm_answers.forget(now - timedelta(days=days))  # they quote what they were asked about
            queue_refit(tx, actor, ids, refit_delay)
            queue_matching_anew(tx, actor, ids)
            tx.commit()
        yield len(removed)
        after = removed[-1]


def _expire_receipts(tenant_id: UUID, terms: Terms, uow: UnitOfWork, files: FileStore, clock: Clock) -> int:
    """How many went."""
    with uow.begin(worker_actor(tenant_id)) as tx:
        now = clock.now()
        days = kept_days(tx.billing.get(), terms, tx.tenants.get().settings.record_retention_days, now)
        if days is None:
            return 0
        removed = tx.receipts.expire(now - timedelta(days=days), RECEIPTS_AT_ONCE)
        if removed:
            told = {"expired": True}
            tx.events.append([NewEvent(type=EventType.RECEIPT_DELETED, subject_id=r.id, payload=told) for r in removed])
            files.delete([receipt.path for receipt in removed])
            tx.commit()
    return len(removed)


def _tenants(system: SystemStorage) -> Iterator[Tenant]:
    after: UUID | None = None
    while page := system.tenants(after=after, limit=_TENANTS_AT_ONCE):
        yield from page
        after = page[-1].id
