"""records:resume: records that were held are taken up as far as their tenant's plan has room now."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from core.domain.billing import Terms
from core.domain.events import EventType, NewEvent
from core.domain.jobs import Job, NewJob
from core.domain.llm_spending import month_of
from core.domain.records import chunked
from core.domain.tenants import Actor, worker_actor
from core.domain.usage import next_month
from core.usecases.shared.admitting import CHUNK, entitled, process_job, take_records
from ports.clock import Clock, Ids
from ports.storage import UnitOfWork

AT_ONCE = 5_000


def resume_held(job: Job, *, terms: Terms, uow: UnitOfWork, clock: Clock, ids: Ids) -> None:
    """Counts held records and queues them to be sorted, the oldest first, some in a transaction, until none is held or
    the plan has no more room. The rest is looked at again with the next month, or as soon as the plan changes."""
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    while _some(actor, job, terms, uow=uow, clock=clock, ids=ids):
        pass


def _some(actor: Actor, job: Job, terms: Terms, *, uow: UnitOfWork, clock: Clock, ids: Ids) -> bool:
    """Whether there may be more to take up."""
    with uow.begin(actor) as tx:
        tx.jobs.hold(job)
        found = tx.held.next(AT_ONCE)
        taken = take_records(tx, len(found), entitled(tx, terms, clock), terms, job, clock=clock, ids=ids)
        resumed = found[: taken.granted]
        if resumed:
            tx.held.release([id for id, _ in resumed])
            tx.jobs.add(_process_jobs(resumed, job, ids))
            tx.events.append([NewEvent(type=EventType.RECORDS_RESUMED, payload={"records": len(resumed)})])
        more = len(resumed) == len(found) > 0
        if not more:
            tx.billing.get(lock=True)  # who holds records from here on notes that after us
            tx.billing.note_held(next_month(month_of(clock.now())) if tx.held.count() else None)
            tx.jobs.finish(job)
        tx.commit()
    return more


def _process_jobs(resumed: Sequence[tuple[UUID, UUID]], job: Job, ids: Ids) -> list[NewJob]:
    by_import: dict[UUID, list[UUID]] = {}
    for id, import_id in resumed:
        by_import.setdefault(import_id, []).append(id)
    return [
        process_job(job, import_id, ids.new(), some)
        for import_id, records in by_import.items()
        for some in chunked(records, CHUNK)
    ]
