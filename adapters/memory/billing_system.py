"""What is done of billing across tenants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from adapters.memory.state import KeptAccount, MemoryStore, TenantState
from adapters.memory.work import queued
from core.domain.jobs import OPEN_STATUSES, JobStatus, NewJob, Stream
from core.domain.payments import EventOutcome, PaymentEvent


class MemoryBillingSystem:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def receive(self, event: PaymentEvent, job_id: UUID, *, max_attempts: int, delay_seconds: float) -> EventOutcome:
        with self._store.lock:
            if (event.provider, event.id) in self._store.payment_events:
                return EventOutcome.DUPLICATE
            self._store.payment_events[event.provider, event.id] = (event, self._store.clock.now())
            whose = next(
                (
                    kept.account.tenant_id
                    for state in self._store.tenants.values()
                    for kept in state.billing.values()
                    if (kept.account.provider, kept.account.customer_id) == (event.provider, event.customer_id)
                ),
                None,
            )
            if whose is None or not event.known:
                return EventOutcome.IGNORED
            state = self._store.state(whose)
            if not _has(state, Stream.BILLING, (JobStatus.QUEUED, JobStatus.PUBLISHED)):
                self._add(state, whose, job_id, Stream.BILLING, "event", max_attempts, delay_seconds)
            self._store.woken()
        return EventOutcome.ACCEPTED

    def queue(
        self,
        ids: Sequence[UUID],
        now: datetime,
        *,
        max_attempts: int,
        reconcile_seconds: float,
        report_seconds: float,
    ) -> int:
        free = list(ids)
        with self._store.lock:
            for tenant_id, state in sorted(self._store.tenants.items()):
                for kept in list(state.billing.values()):
                    if len(free) < len(_STREAMS):
                        break
                    due = _due(
                        state, kept, now, timedelta(seconds=reconcile_seconds), timedelta(seconds=report_seconds)
                    )
                    for stream, reason in due:
                        self._add(state, tenant_id, free.pop(0), stream, reason, max_attempts)
            count = len(ids) - len(free)
            if count:
                self._store.woken()
        return count

    def sweep(self, seconds: float) -> int:
        with self._store.lock:
            before = self._store.clock.now() - timedelta(seconds=seconds)
            old = [key for key, (_, at) in self._store.payment_events.items() if at < before]
            for key in old:
                del self._store.payment_events[key]
        return len(old)

    def _add(
        self,
        state: TenantState,
        tenant_id: UUID,
        id: UUID,
        stream: Stream,
        reason: str,
        max_attempts: int,
        delay_seconds: float = 0.0,
    ) -> None:
        payload = {"reason": reason}
        new = NewJob(id=id, stream=stream, payload=payload, max_attempts=max_attempts, delay_seconds=delay_seconds)
        state.jobs[id] = queued(new, tenant_id, self._store.clock.now())


_STREAMS = (Stream.BILLING, Stream.RESUME, Stream.REPORT)


def _due(
    state: TenantState, kept: KeptAccount, now: datetime, reconcile: timedelta, report: timedelta
) -> list[tuple[Stream, str]]:
    """The streams of the jobs that are to be queued, and why; notes that they are."""
    account, streams = kept.account, list[tuple[Stream, str]]()
    customer = account.customer_id is not None
    changes = kept.changes_at is not None and kept.changes_at <= now
    stale = customer and (account.fetched_at is None or account.fetched_at <= now - reconcile)
    if (changes or stale) and not _has(state, Stream.BILLING, OPEN_STATUSES):
        streams.append((Stream.BILLING, "due" if changes else "reconcile"))
    if account.resumes_at is not None and account.resumes_at <= now and not _has(state, Stream.RESUME, OPEN_STATUSES):
        streams.append((Stream.RESUME, "due"))
    reports = customer and (kept.reported_at is None or kept.reported_at <= now - report)
    unsent = any(one.sent_at is None for one in state.usage_reports.values())
    if reports and (unsent or any(used > reported for used, reported in state.usages.values())):
        streams.append((Stream.REPORT, "due"))
    state.billing[account.tenant_id] = replace(
        kept, changes_at=None if changes else kept.changes_at, reported_at=now if reports else kept.reported_at
    )
    return streams


def _has(state: TenantState, stream: Stream, statuses: Sequence[JobStatus]) -> bool:
    return any(kept.job.stream is stream and kept.job.status in statuses for kept in state.jobs.values())
