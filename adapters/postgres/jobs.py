"""Jobs of a tenant: queued with the transaction that wants them, worked under a lease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, bindparam, func, insert, literal_column, select

from adapters.postgres.events import notify
from adapters.postgres.guards import at, conflicts
from adapters.postgres.work_tables import jobs
from core.domain.jobs import OPEN_STATUSES, Job, JobStatus, NewJob, Stream
from core.errors import Conflict, LeaseLost, NotFound

_SYNCING = "a sync of this connection is under way"


class PostgresJobs:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add(self, new: Sequence[NewJob]) -> None:
        if not new:
            return
        with conflicts(taken=_SYNCING):
            self._connection.execute(
                insert(jobs).values(due_at=_in(bindparam("delay")), created_at=func.now()),
                [
                    {
                        "tenant_id": self._tenant_id,
                        "id": job.id,
                        "delay": job.delay_seconds,
                        "stream": job.stream.value,
                        "status": JobStatus.QUEUED.value,
                        "payload": job.payload,
                        "progress": {},
                        "attempts": 0,
                        "max_attempts": job.max_attempts,
                        "request_id": job.request_id,
                        "source_agent": job.source_agent,
                        "trace_parent": job.trace_parent,
                    }
                    for job in new
                ],
            )
        notify(self._connection)

    def waiting(self, stream: str, payload: Mapping[str, Any] | None = None) -> bool:
        mine = select(jobs.c.id).where(jobs.c.tenant_id == self._tenant_id, jobs.c.stream == stream).limit(1)
        if payload is not None:
            mine = mine.where(jobs.c.payload == payload)
        # Locked, so that nobody claims it meanwhile; one that is being claimed or published just now does not count.
        mine = mine.with_for_update(read=True, skip_locked=True)
        # One question for each partial index.
        return any(
            self._connection.execute(mine.where(jobs.c.status == status.value)).first()
            for status in (JobStatus.QUEUED, JobStatus.PUBLISHED)
        )

    def open_sync(self, connection_id: UUID) -> Job | None:
        query = select(jobs).where(
            jobs.c.tenant_id == self._tenant_id,
            jobs.c.stream == literal_column("'connections:sync'"),  # as the index has it, whatever the plan
            jobs.c.payload["connection_id"].astext == str(connection_id),
            jobs.c.status.in_([status.value for status in OPEN_STATUSES]),
        )
        row = self._connection.execute(query).mappings().first()
        return None if row is None else to_job(row)

    def get(self, id: UUID) -> Job:
        row = self._connection.execute(select(jobs).where(at(jobs, self._tenant_id, id))).mappings().first()
        if row is None:
            raise NotFound("this job does not exist")
        return to_job(row)

    def list(
        self, *, stream: str | None, statuses: Sequence[str], after: UUID | None, limit: int, newest: bool = False
    ) -> Sequence[Job]:
        query = select(jobs).where(jobs.c.tenant_id == self._tenant_id).limit(limit)
        query = query.order_by(jobs.c.id.desc() if newest else jobs.c.id)
        if stream is not None:
            query = query.where(jobs.c.stream == stream)
        if statuses:
            query = query.where(jobs.c.status.in_(statuses))
        if after is not None:
            query = query.where(jobs.c.id < after if newest else jobs.c.id > after)
        return [to_job(row) for row in self._connection.execute(query).mappings()]

    def counts(self, statuses: Sequence[str]) -> Mapping[tuple[str, str], int]:
        query = (
            select(jobs.c.stream, jobs.c.status, func.count())
            .where(jobs.c.tenant_id == self._tenant_id, jobs.c.status.in_(statuses))
            .group_by(jobs.c.stream, jobs.c.status)
        )
        return {(stream, status): count for stream, status, count in self._connection.execute(query)}

    def claim(self, id: UUID, token: UUID, seconds: float) -> Job | None:
        waiting = jobs.c.status.in_((JobStatus.QUEUED.value, JobStatus.PUBLISHED.value))
        row = self._connection.execute(
            jobs.update()
            .where(at(jobs, self._tenant_id, id), waiting, jobs.c.due_at <= func.now())
            .values(
                status=JobStatus.RUNNING.value,
                lease_token=token,
                lease_until=_in(seconds),
                attempts=jobs.c.attempts + 1,
                started_at=func.now(),
            )
            .returning(jobs)
        )
        found = row.mappings().first()
        return None if found is None else to_job(found)

    def renew(self, job: Job, seconds: float) -> None:
        self._guarded(job, lease_until=_in(seconds))

    def hold(self, job: Job, progress: Mapping[str, Any] | None = None) -> None:
        if progress is None:
            locked = select(jobs.c.id).where(self._mine(job)).with_for_update()
            if self._connection.execute(locked).first() is None:
                raise LeaseLost
        else:
            self._guarded(job, progress=progress)

    def finish(self, job: Job) -> None:
        self._guarded(
            job,
            status=JobStatus.DONE.value,
            finished_at=func.now(),
            lease_token=None,
            lease_until=None,
            last_error=None,
        )
        notify(self._connection)  # the tenant has room for its next job

    def fail(self, job: Job, error: str, *, due_at: datetime | None) -> None:
        dead = due_at is None
        self._guarded(
            job,
            status=JobStatus.DEAD.value if dead else JobStatus.QUEUED.value,
            due_at=jobs.c.due_at if dead else due_at,
            finished_at=func.now() if dead else None,
            lease_token=None,
            lease_until=None,
            published_at=None,
            last_error=error,
        )
        notify(self._connection)

    def put_off(self, job: Job, reason: str, *, due_at: datetime) -> None:
        self._guarded(
            job,
            status=JobStatus.QUEUED.value,
            due_at=due_at,
            attempts=jobs.c.attempts - 1,
            lease_token=None,
            lease_until=None,
            published_at=None,
            last_error=reason,
        )
        notify(self._connection)  # the tenant has room for its next job

    def replay(self, ids: Sequence[UUID]) -> Sequence[Job]:
        with conflicts(taken=_SYNCING):
            rows = self._connection.execute(
                jobs.update()
                .where(jobs.c.tenant_id == self._tenant_id, jobs.c.id.in_(ids), jobs.c.status == JobStatus.DEAD.value)
                .values(
                    status=JobStatus.QUEUED.value, attempts=0, due_at=func.now(), published_at=None, finished_at=None
                )
                .returning(jobs)
            )
            replayed = {job.id: job for job in map(to_job, rows.mappings())}
        for id in ids:
            if id not in replayed:
                raise Conflict(f"job {id} is {self.get(id).status.value}, only a dead job can be replayed")
        notify(self._connection)
        return [replayed[id] for id in dict.fromkeys(ids)]

    def _mine(self, job: Job) -> ColumnElement[bool]:
        running = jobs.c.status == JobStatus.RUNNING.value
        return and_(at(jobs, self._tenant_id, job.id), jobs.c.lease_token == job.lease_token, running)

    def _guarded(self, job: Job, **values: Any) -> None:
        if self._connection.execute(jobs.update().where(self._mine(job)).values(**values)).rowcount == 0:
            raise LeaseLost


def _in(seconds: float | ColumnElement[float]) -> ColumnElement[datetime]:
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def to_job(row: RowMapping) -> Job:
    values = {name: row[name] for name in Job.__slots__}
    return Job(**values | {"stream": Stream(row["stream"]), "status": JobStatus(row["status"])})
