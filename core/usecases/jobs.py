"""Jobs: claimed, renewed, failed, listed and replayed; the work itself is the other use cases'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from core.domain.connections import Connection, ImportStatus
from core.domain.evaluations import EvaluationStatus
from core.domain.events import EventType, NewEvent
from core.domain.health import MAX_MESSAGE, diagnose, jitter_of
from core.domain.inventories import PRESENT_SECONDS, Inventory, Role, differences
from core.domain.jobs import OPEN_STATUSES, Job, JobStatus, Stream, backoff
from core.domain.notification_retries import given_up
from core.domain.notifications import Notification
from core.domain.reports import RunStatus as ReportStatus
from core.domain.rule_runs import RunStatus
from core.domain.tenants import Actor, worker_actor
from core.domain.webhooks import DeliveryStatus
from core.errors import Invalid, NotFound, SortationError
from core.usecases.shared.connection_health import note_failed_delivery, note_health
from core.usecases.shared.needed import needed_plugins
from ports.clock import Clock, Ids
from ports.storage import Transaction, UnitOfWork
from ports.system import SystemStorage

MAX_ERROR = 500
SHORTEST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(seconds=15)
"""Of a job that is put off."""


def claim_job(
    tenant_id: UUID,
    job_id: UUID,
    *,
    lease_seconds: float,
    inventory: Inventory,
    uow: UnitOfWork,
    system: SystemStorage,
    clock: Clock,
    ids: Ids,
) -> Job | None:
    """A lease on the job, or None when it is done, not due, or another worker's; and when it needs a plugin of which
    the API has another version, or which only one of them has: then it is put off until they are restarted."""
    apart = differences(inventory, system.inventories(Role.API, seconds=PRESENT_SECONDS))
    with uow.begin(worker_actor(tenant_id)) as tx:
        job = tx.jobs.claim(job_id, ids.new(), lease_seconds)
        if job is not None and apart and (awaited := needed_plugins(tx, job) & apart.keys()):
            offer = min(awaited)
            reason = f"waits until API and worker have the same {offer}: {apart[offer]}"[:MAX_ERROR]
            tx.jobs.put_off(job, reason, due_at=_later(job, clock.now()))
            job = None
        tx.commit()
    return job


def put_off_job(job: Job, reason: str, *, uow: UnitOfWork, clock: Clock, ids: Ids) -> None:
    """Gives back a job for which there is no room now, as if it had not been claimed. Raises `LeaseLost`."""
    due_at = _later(job, clock.now())
    if job.stream is Stream.SEND:  # days old where it is tried again, and never long without room
        due_at = clock.now() + SHORTEST_WAIT * (1 + 2 * ids.uniform())
    with uow.begin(worker_actor(job.tenant_id)) as tx:
        tx.jobs.put_off(job, reason, due_at=due_at)
        tx.commit()


def _later(job: Job, now: datetime) -> datetime:
    """When a job that is put off is due again: in a second; one that has waited for long, after longer, so that many
    that wait take no time from those that work."""
    return now + min(max((now - job.created_at) / 4, SHORTEST_WAIT), LONGEST_WAIT)


def renew_job(job: Job, *, lease_seconds: float, uow: UnitOfWork) -> None:
    """Raises `LeaseLost`."""
    with uow.begin(worker_actor(job.tenant_id)) as tx:
        tx.jobs.renew(job, lease_seconds)
        tx.commit()


def fail_job(
    job: Job, error: Exception, *, backoff_seconds: float, uow: UnitOfWork, clock: Clock, ids: Ids
) -> JobStatus:
    """Queues a failed job again, after a growing wait, or sends it to its dead letters: after its last attempt, and at
    once when a retry can't help (`Invalid`). Raises `LeaseLost`."""
    reason = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"[:MAX_ERROR]
    dead = job.last_attempt or isinstance(error, Invalid)
    wait = backoff(job.attempts, timedelta(seconds=backoff_seconds), ids.uniform())
    if (asked := getattr(error, "details", {}).get("retry_after")) is not None:
        wait = max(wait, timedelta(seconds=asked))
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    with uow.begin(actor) as tx:
        synced = _synced(tx, job) if dead else None
        receiver = _receiver(tx, job)
        unsent = _unsent(tx, job) if dead else None
        tx.jobs.fail(job, reason, due_at=None if dead else clock.now() + wait)
        if dead:
            payload = {"stream": job.stream.value, "error": reason}
            tx.events.append([NewEvent(type=EventType.JOB_DEAD, subject_id=job.id, payload=payload)])
            if job.stream is Stream.INGEST:
                _fail_import(tx, UUID(job.payload["import_id"]), str(error), clock)
            if job.stream is Stream.WEBHOOK:
                _fail_delivery(tx, UUID(job.payload["delivery_id"]), str(error), clock)
            if unsent is not None:
                tx.notifications.update(given_up(unsent, "job_dead", clock.now()))
            if synced is not None:
                _fail_sync(tx, job, synced, reason, clock, ids)
            if job.stream is Stream.RUN:
                run = tx.runs.get(UUID(job.payload["run_id"]))
                if run.job_id == job.id:
                    tx.runs.update(replace(run, status=RunStatus.FAILED, failure=reason, finished_at=clock.now()))
            if job.stream is Stream.EVALUATE:
                evaluation = tx.evaluations.get(UUID(job.payload["evaluation_id"]))
                failed = replace(evaluation, status=EvaluationStatus.FAILED, failure=reason, finished_at=clock.now())
                tx.evaluations.update(failed)
            if job.stream is Stream.GENERATE:
                _fail_report(tx, UUID(job.payload["run_id"]), str(error), clock)
        if receiver is not None and (dead or isinstance(error, SortationError)):
            code = error.code if isinstance(error, SortationError) else "job_dead"
            note_failed_delivery(tx, receiver, code, str(error) or reason, clock=clock, ids=ids)
        tx.commit()
    return JobStatus.DEAD if dead else JobStatus.QUEUED


def _fail_import(tx: Transaction, import_id: UUID, reason: str, clock: Clock) -> None:
    failure = next(iter(reason.splitlines()), "")[:MAX_ERROR]
    imported = tx.imports.get(import_id)
    tx.imports.update(replace(imported, status=ImportStatus.FAILED, failure=failure, finished_at=clock.now()))
    tx.events.append([NewEvent(type=EventType.IMPORT_FAILED, subject_id=import_id, payload={"reason": failure})])


def _fail_delivery(tx: Transaction, delivery_id: UUID, reason: str, clock: Clock) -> None:
    failure = next(iter(reason.splitlines()), "")[:MAX_ERROR]
    delivery = tx.deliveries.get(delivery_id)
    tx.deliveries.update(replace(delivery, status=DeliveryStatus.FAILED, failure=failure, finished_at=clock.now()))
    tx.events.append([NewEvent(type=EventType.WEBHOOK_FAILED, subject_id=delivery_id, payload={"reason": failure})])


def _fail_report(tx: Transaction, run_id: UUID, reason: str, clock: Clock) -> None:
    failure = next(iter(reason.splitlines()), "")[:MAX_ERROR]
    run = tx.reports.get(run_id)
    tx.reports.update(replace(run, status=ReportStatus.FAILED, failure=failure, finished_at=clock.now()))
    told = {"kind": run.spec.kind.value, "definition_id": run.definition_id, "reason": failure}
    tx.events.append([NewEvent(type=EventType.REPORT_FAILED, subject_id=run_id, payload=told)])


def _synced(tx: Transaction, job: Job) -> Connection | None:
    """The connection that the job syncs, held before the job is: as who starts a sync does."""
    if job.stream is not Stream.SYNC:
        return None
    try:
        return tx.connections.get(UUID(job.payload["connection_id"]), lock=True)
    except NotFound:
        return None


def _unsent(tx: Transaction, job: Job) -> Notification | None:
    """The notification that the job sends, held before the job is: as who sends it does."""
    if job.stream is not Stream.SEND:
        return None
    try:
        notification = tx.notifications.get(UUID(job.payload["notification_id"]), lock=True)
    except NotFound:
        return None
    return notification if notification.job_id == job.id else None


def _receiver(tx: Transaction, job: Job) -> Connection | None:
    """The connection whose delivery the job reads, held as that of a sync is."""
    if job.stream is not Stream.WEBHOOK:
        return None
    try:
        return tx.connections.get(tx.deliveries.get(UUID(job.payload["delivery_id"])).connection_id, lock=True)
    except NotFound:
        return None


def _fail_sync(tx: Transaction, job: Job, connection: Connection, reason: str, clock: Clock, ids: Ids) -> None:
    """A sync that died is no word of the source: a worker was lost with it each time, or our own code failed."""
    means = diagnose("job_dead", failures=connection.failures, jitter=jitter_of(job.id))
    wait = means.retry_seconds
    again = None if wait is None else clock.now() + timedelta(seconds=wait)
    ill = replace(connection, health=means.health, failures=means.failures, next_sync_at=again)
    told = {"code": "job_dead", "message": reason[:MAX_MESSAGE], "action": means.action}
    if connection.disabled_at is None:
        note_health(tx, ill, connection.health, **told, clock=clock, ids=ids)
    tx.syncs.count(connection.connector, "job_dead", 0)
    with suppress(NotFound):
        _fail_import(tx, UUID(job.payload["import_id"]), reason, clock)


def list_jobs(
    actor: Actor,
    *,
    stream: str | None = None,
    statuses: Sequence[str] = (),
    after: UUID | None = None,
    limit: int,
    newest: bool = False,
    uow: UnitOfWork,
) -> Sequence[Job]:
    with uow.begin(actor) as tx:
        return tx.jobs.list(stream=stream, statuses=statuses, after=after, limit=limit, newest=newest)


def count_jobs(actor: Actor, *, uow: UnitOfWork) -> Mapping[tuple[str, str], int]:
    """How many jobs are open or dead, by (stream, status)."""
    with uow.begin(actor) as tx:
        return tx.jobs.counts((*OPEN_STATUSES, JobStatus.DEAD))


def get_job(actor: Actor, job_id: UUID, *, uow: UnitOfWork) -> Job:
    with uow.begin(actor) as tx:
        return tx.jobs.get(job_id)


def replay_jobs(actor: Actor, job_ids: Sequence[UUID], *, uow: UnitOfWork) -> Sequence[Job]:
    """Queues dead jobs again, with all their attempts. Raises `NotFound`, or `Conflict` for a job that is not dead."""
    if not job_ids:
        raise Invalid("name the jobs to replay")
    with uow.begin(actor) as tx:
        jobs = tx.jobs.replay(job_ids)
        tx.events.append([NewEvent(type=EventType.JOB_REPLAYED, subject_id=job.id) for job in jobs])
        tx.commit()
    return jobs
