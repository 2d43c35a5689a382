"""Jobs and events of a tenant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from adapters.memory.state import KeptJob, TenantState, Workspace, as_json, many, one, page
from core.domain.events import Event, EventFilter, NewEvent
from core.domain.jobs import OPEN_STATUSES, Job, JobStatus, NewJob, Stream
from core.errors import Conflict, LeaseLost


def syncs(job: Job, connection_id: UUID | str) -> bool:
    """Whether it is a sync of that connection."""
    return job.stream is Stream.SYNC and job.payload["connection_id"] == str(connection_id)


def queued(new: NewJob, tenant_id: UUID, now: datetime) -> KeptJob:
    return KeptJob(
        job=Job(
            id=new.id,
            tenant_id=tenant_id,
            stream=new.stream,
            status=JobStatus.QUEUED,
            payload=as_json(new.payload),
            progress={},
            attempts=0,
            max_attempts=new.max_attempts,
            due_at=now + timedelta(seconds=new.delay_seconds),
            request_id=new.request_id,
            source_agent=new.source_agent,
            trace_parent=new.trace_parent,
            last_error=None,
            created_at=now,
            started_at=None,
            finished_at=None,
        )
    )


class MemoryJobs:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._jobs = workspace.state.jobs

    def add(self, jobs: Sequence[NewJob]) -> None:
        for new in jobs:
            self._one_sync(new.stream, new.payload)
            self._jobs[new.id] = queued(new, self._at.tenant_id, self._at.now)

    def waiting(self, stream: str, payload: Mapping[str, Any] | None = None) -> bool:
        unbegun = (JobStatus.QUEUED, JobStatus.PUBLISHED)
        jobs = [kept.job for kept in self._jobs.values() if kept.job.stream == stream and kept.job.status in unbegun]
        return any(payload in (None, job.payload) for job in jobs)

    def open_sync(self, connection_id: UUID) -> Job | None:
        open_jobs = (kept.job for kept in self._jobs.values() if kept.job.status in OPEN_STATUSES)
        return next((job for job in open_jobs if syncs(job, connection_id)), None)

    def get(self, id: UUID) -> Job:
        return one(self._jobs, id, "job").job

    def list(
        self, *, stream: str | None, statuses: Sequence[str], after: UUID | None, limit: int, newest: bool = False
    ) -> Sequence[Job]:
        found = page(self._jobs, None if newest else after)
        if newest:
            found = [kept for kept in reversed(found) if after is None or kept.job.id < after]
        return [
            kept.job
            for kept in found
            if (stream is None or kept.job.stream == stream) and (not statuses or kept.job.status in statuses)
        ][:limit]

    def counts(self, statuses: Sequence[str]) -> Mapping[tuple[str, str], int]:
        jobs = (kept.job for kept in self._jobs.values() if kept.job.status in statuses)
        return Counter((job.stream.value, job.status.value) for job in jobs)

    def claim(self, id: UUID, token: UUID, seconds: float) -> Job | None:
        kept = self._jobs.get(id)
        waiting = (JobStatus.QUEUED, JobStatus.PUBLISHED)
        if kept is None or kept.job.status not in waiting or kept.job.due_at > self._at.now:
            return None
        job = replace(
            kept.job,
            status=JobStatus.RUNNING,
            lease_token=token,
            attempts=kept.job.attempts + 1,
            started_at=self._at.now,
        )
        self._jobs[id] = replace(kept, job=job, lease_until=self._at.now + timedelta(seconds=seconds))
        return job

    def renew(self, job: Job, seconds: float) -> None:
        kept = self._mine(job)
        self._jobs[job.id] = replace(kept, lease_until=self._at.now + timedelta(seconds=seconds))

    def hold(self, job: Job, progress: Mapping[str, Any] | None = None) -> None:
        kept = self._mine(job)
        if progress is not None:
            self._jobs[job.id] = replace(kept, job=replace(kept.job, progress=as_json(progress)))

    def finish(self, job: Job) -> None:
        self._ended(job, status=JobStatus.DONE, finished_at=self._at.now, last_error=None)

    def fail(self, job: Job, error: str, *, due_at: datetime | None) -> None:
        if due_at is None:
            self._ended(job, status=JobStatus.DEAD, finished_at=self._at.now, last_error=error)
        else:
            self._ended(job, status=JobStatus.QUEUED, finished_at=None, last_error=error, due_at=due_at)

    def put_off(self, job: Job, reason: str, *, due_at: datetime) -> None:
        attempts = self._mine(job).job.attempts - 1
        self._ended(job, status=JobStatus.QUEUED, last_error=reason, due_at=due_at, attempts=attempts)

    def replay(self, ids: Sequence[UUID]) -> Sequence[Job]:
        dead = many(self._jobs, dict.fromkeys(ids), "job")
        for kept in dead:
            if kept.job.status is not JobStatus.DEAD:
                raise Conflict(f"job {kept.job.id} is {kept.job.status.value}, only a dead job can be replayed")
        for kept in dead:
            self._one_sync(kept.job.stream, kept.job.payload)
            job = replace(kept.job, status=JobStatus.QUEUED, attempts=0, due_at=self._at.now, finished_at=None)
            self._jobs[job.id] = KeptJob(job=job)
        return [self.get(kept.job.id) for kept in dead]

    def _one_sync(self, stream: Stream, payload: Mapping[str, Any]) -> None:
        """A connection has one open sync at most."""
        if stream is not Stream.SYNC:
            return
        if self.open_sync(payload["connection_id"]) is not None:
            raise Conflict("a sync of this connection is under way")

    def _mine(self, job: Job) -> KeptJob:
        kept = self._jobs.get(job.id)
        if kept is None or kept.job.status is not JobStatus.RUNNING or kept.job.lease_token != job.lease_token:
            raise LeaseLost
        return kept

    def _ended(self, job: Job, **values: Any) -> None:
        kept = self._mine(job)
        self._jobs[job.id] = KeptJob(job=replace(kept.job, lease_token=None, **values))


class MemoryEvents:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace

    def append(self, events: Sequence[NewEvent]) -> None:
        for event in events:
            self._at.tell(event)

    def list(self, where: EventFilter, *, after: int, limit: int, newest: bool = False) -> Sequence[Event]:
        return list_events(self._at.tenant_id, self._at.state, where, after=after, limit=limit, newest=newest)


def list_events(
    tenant_id: UUID, state: TenantState, where: EventFilter, *, after: int, limit: int, newest: bool = False
) -> list[Event]:
    """The sealed events of a tenant above `after` (with `newest` below it) that the filter lets through, in order."""
    sealed = sorted(_sealed(tenant_id, state), key=lambda event: event.seq, reverse=newest)
    beyond = (e for e in sealed if (not after or e.seq < after if newest else e.seq > after))
    return [event for event in beyond if _passes(event, where)][:limit]


def _sealed(tenant_id: UUID, state: TenantState) -> Iterator[Event]:
    for batch in state.batches.values():
        if batch.last_seq is None:
            continue
        for seq, event in enumerate(batch.events, start=batch.last_seq - len(batch.events) + 1):
            yield Event(
                tenant_id=tenant_id,
                seq=seq,
                type=event.type.value,
                occurred_at=batch.created_at,
                source_agent=batch.source_agent,
                actor=batch.actor,
                subject_id=event.subject_id,
                request_id=batch.request_id,
                actor_id=batch.actor_id,
                address=batch.address,
                user_agent=batch.user_agent,
                payload=event.payload,
            )


def _passes(event: Event, where: EventFilter) -> bool:
    return (
        (not where.types or event.type in where.types)
        and where.source_agent in (None, event.source_agent)
        and where.subject_id in (None, event.subject_id)
        and (where.since is None or event.occurred_at >= where.since)
        and (where.until is None or event.occurred_at < where.until)
    )
