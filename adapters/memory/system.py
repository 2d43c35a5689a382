"""What is done across tenants: relay, reaper, sealer, the operator's views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from uuid import UUID

from adapters.memory.reports import turned
from adapters.memory.state import KeptJob, MemoryStore, TenantState
from adapters.memory.work import list_events, queued, syncs
from core.domain.approvals import SKIPPED
from core.domain.events import Event, EventFilter, Verification
from core.domain.inventories import Inventory, Role
from core.domain.jobs import OPEN_STATUSES, Job, JobStatus, NewJob, Stream
from core.domain.oauth import SignIn
from core.domain.people import DEVICE_TIME
from core.domain.tenants import ApiKey, Tenant
from ports.system import DueReport, ReportTurn, StreamStats

DAY = 86_400.0
_NOBODY = ("sortation", "webhook", "somebody")


class MemorySystem:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._taken: set[UUID] = set()
        self._seen = 0

    def find_api_key(self, key_id: str) -> ApiKey | None:
        with self._store.lock:
            keys = (key for state in self._store.tenants.values() for key in state.api_keys.values())
            return next((key for key in keys if key.key_id == key_id), None)

    def tenant_of_connection(self, connection_id: UUID) -> UUID | None:
        with self._store.lock:
            found = (id for id, state in self._store.tenants.items() if connection_id in state.connections)
            return next(found, None)

    def take_sign_in(self, state_hash: bytes) -> SignIn | None:
        with self._store.lock:
            found = (state.sign_ins.pop(state_hash, None) for state in self._store.tenants.values())
            return next((sign_in for sign_in in found if sign_in is not None), None)

    @contextmanager
    def take_due(
        self, *, share: int, limit: int, shares: Mapping[str, int] = MappingProxyType({})
    ) -> Iterator[Sequence[tuple[UUID, UUID, str, Mapping[str, str]]]]:
        with self._store.lock:
            due = [
                job
                for state in self._store.tenants.values()
                for stream in Stream
                for job in self._due(state, stream, shares.get(stream, share))
            ]
            taken = sorted(due, key=lambda job: (job.due_at, job.id))[:limit]
            ids = {job.id for job in taken}
            self._taken |= ids
        try:
            yield [(job.tenant_id, job.id, job.stream.value, _headers(job)) for job in taken]
            with self._store.lock:
                for job in taken:
                    self._store.state(job.tenant_id).jobs[job.id] = KeptJob(
                        job=replace(job, status=JobStatus.PUBLISHED), published_at=self._store.clock.now()
                    )
        finally:
            self._taken -= ids

    def _due(self, state: TenantState, stream: Stream, share: int) -> list[Job]:
        jobs = [kept.job for kept in state.jobs.values() if kept.job.stream is stream]
        flying = sum(job.status in (JobStatus.PUBLISHED, JobStatus.RUNNING) for job in jobs)
        due = sorted(
            (
                job
                for job in jobs
                if job.status is JobStatus.QUEUED
                and job.due_at <= self._store.clock.now()
                and job.id not in self._taken
            ),
            key=lambda job: (job.due_at, job.id),
        )
        return due[: max(share - flying, 0)]

    def queue_syncs(self, ids: Sequence[UUID], *, max_attempts: int) -> int:
        with self._store.lock:
            now, count = self._store.clock.now(), 0
            due = [
                (connection.next_sync_at, state, connection)
                for state in self._store.tenants.values()
                for connection in state.connections.values()
                if connection.next_sync_at is not None and connection.next_sync_at <= now
            ]
            half = len(ids) // 2
            due.sort(key=lambda one: (one[0], one[2].id))
            for (_, state, connection), id, import_id in zip(due, ids[:half], ids[half:], strict=False):
                every = connection.schedule_seconds
                state.connections[connection.id] = replace(
                    connection, next_sync_at=None if every is None else now + timedelta(seconds=every)
                )
                open_jobs = (k.job for k in state.jobs.values() if k.job.status in OPEN_STATUSES)
                if not any(syncs(job, connection.id) for job in open_jobs):
                    payload = {"connection_id": connection.id, "import_id": import_id}
                    new = NewJob(id=id, stream=Stream.SYNC, payload=payload, max_attempts=max_attempts)
                    state.jobs[id] = queued(new, connection.tenant_id, now)
                    count += 1
            if count:
                self._store.woken()
        return count

    def due_reports(self, limit: int) -> Sequence[DueReport]:
        with self._store.lock:
            now = self._store.clock.now()
            found = [
                DueReport(
                    tenant_id=one.tenant_id,
                    definition_id=one.id,
                    schedule=one.schedule,
                    zone=state.tenants[one.tenant_id].zone,
                    next_run_at=one.next_run_at,
                )
                for state in self._store.tenants.values()
                for one in state.report_definitions.values()
                if one.schedule is not None and one.next_run_at is not None and one.next_run_at <= now
            ]
        return sorted(found, key=lambda due: (due.next_run_at, due.tenant_id, due.definition_id))[:limit]

    def queue_reports(self, turns: Sequence[ReportTurn], *, max_attempts: int) -> int:
        count = 0
        with self._store.lock:
            now = self._store.clock.now()
            for turn in turns:
                state = self._store.state(turn.due.tenant_id)
                stored = state.report_definitions.get(turn.due.definition_id)
                if stored is None or stored.next_run_at != turn.due.next_run_at:
                    continue
                state.report_definitions[stored.id] = replace(stored, next_run_at=turn.following)
                if any((run.definition_id, run.slot) == (stored.id, turn.slot) for run in state.report_runs.values()):
                    continue
                state.report_runs[turn.run_id] = turned(stored, turn, now)
                payload = {"run_id": turn.run_id}
                new = NewJob(id=turn.job_id, stream=Stream.GENERATE, payload=payload, max_attempts=max_attempts)
                state.jobs[new.id] = queued(new, stored.tenant_id, now)
                count += 1
            if count:
                self._store.woken()
        return count

    def old_reports(self, *, seconds: float, limit: int) -> Sequence[tuple[UUID, UUID]]:
        with self._store.lock:
            now = self._store.clock.now()
            return sorted(
                (run.tenant_id, run.id)
                for state in self._store.tenants.values()
                for run in state.report_runs.values()
                if run.expired_at is None and _before(run.finished_at, now, seconds)
            )[:limit]

    def expire_reports(self, runs: Sequence[tuple[UUID, UUID]]) -> int:
        with self._store.lock:
            kept = [
                (state, run)
                for tenant_id, run_id in runs
                for state in [self._store.state(tenant_id)]
                if (run := state.report_runs.get(run_id)) is not None and run.expired_at is None
            ]
            for state, run in kept:
                state.report_runs[run.id] = replace(run, files=(), expired_at=self._store.clock.now())
        return len(kept)

    def reap(self, *, republish_after: float) -> int:
        with self._store.lock:
            stuck = [
                (state, kept)
                for state in self._store.tenants.values()
                for kept in state.jobs.values()
                if self._lost(kept) or self._unclaimed(kept, timedelta(seconds=republish_after))
            ]
            for state, kept in stuck:
                self._release(state, kept.job)
            if stuck:
                self._store.woken()
        return len(stuck)

    def _lost(self, kept: KeptJob) -> bool:
        running = kept.job.status is JobStatus.RUNNING
        return running and kept.lease_until is not None and kept.lease_until < self._store.clock.now()

    def _unclaimed(self, kept: KeptJob, patience: timedelta) -> bool:
        published = kept.job.status is JobStatus.PUBLISHED
        return published and kept.published_at is not None and kept.published_at < self._store.clock.now() - patience

    def _release(self, state: TenantState, job: Job) -> None:
        lost = job.status is JobStatus.RUNNING
        released = replace(
            job,
            status=JobStatus.QUEUED,
            last_error="the worker was lost: its lease ran out" if lost else job.last_error,
            lease_token=None,
        )
        state.jobs[job.id] = KeptJob(job=released)

    def seal(self) -> int:
        sealed = 0
        with self._store.lock:
            for state in self._store.tenants.values():
                last = max((batch.last_seq or 0 for batch in state.batches.values()), default=0)
                for id in sorted(id for id, batch in state.batches.items() if batch.last_seq is None):
                    last += len(state.batches[id].events)
                    state.batches[id] = replace(state.batches[id], last_seq=last)
                    sealed += 1
        return sealed

    def verify_events(self, tenant_id: UUID) -> Verification:
        with self._store.lock:
            batches = self._store.state(tenant_id).batches.values()
            return Verification(events=max((b.last_seq or 0 for b in batches), default=0), digest="", fault=None)

    def sweep(self, *, payload_seconds: float, job_seconds: float, key_seconds: float) -> int:
        gone = 0
        with self._store.lock:
            now = self._store.clock.now()
            sessions = self._store.sessions
            over = [s.id for s in sessions.values() if _before(s.ended_at or s.expires_at, now, job_seconds)]
            gone += len([sessions.pop(id) for id in over])
            devices = self._store.devices
            unseen = [d.id for d in devices.values() if _before(d.seen_at, now, DEVICE_TIME.total_seconds())]
            gone += len([devices.pop(id) for id in unseen])
            for state in self._store.tenants.values():
                kept = _kept_seconds(state, payload_seconds)
                ended = (i for i in state.imports.values() if _before(i.finished_at, now, kept))
                gone += sum(state.payloads.pop(i.id, None) is not None for i in ended)
                stale = [key for key, sign_in in state.sign_ins.items() if sign_in.expires_at < now]
                gone += len([state.sign_ins.pop(key) for key in stale])
                read = (d for d in state.deliveries.values() if _before(d.finished_at, now, kept))
                gone += sum(state.messages.pop(d.id, None) is not None for d in read)
                jobs = [one.job for one in state.jobs.values() if one.job.status is JobStatus.DONE]
                old_jobs = [job.id for job in jobs if _before(job.finished_at, now, job_seconds)]
                old_keys = [key for key, one in state.responses.items() if _before(one.created_at, now, key_seconds)]
                skipped = [key for key, at in state.skips.items() if _before(at, now, SKIPPED.total_seconds())]
                gone += len([state.skips.pop(key) for key in skipped])
                for id in old_jobs:
                    del state.jobs[id]
                for key in old_keys:
                    del state.responses[key]
                gone += len(old_jobs) + len(old_keys)
        return gone

    def forget_callers(self, limit: int) -> int:
        with self._store.lock:
            told = [
                (state, id, batch)
                for state in self._store.tenants.values()
                for tenant in state.tenants.values()
                if (days := tenant.settings.log_retention_days) is not None
                for id, batch in state.batches.items()
                if batch.last_seq is not None
                if batch.actor_id is not None or batch.user_agent is not None or batch.actor not in _NOBODY
                if not batch.erased and _before(batch.created_at, self._store.clock.now(), days * DAY)
            ][:limit]
            for state, id, batch in told:
                by_program = batch.actor_id in state.api_keys or (
                    batch.actor_id is None
                    and not any(batch.actor in (user.name, user.email) for user in self._store.users.values())
                )
                state.batches[id] = replace(
                    batch,
                    actor=batch.actor if by_program else "somebody",
                    address=None,
                    user_agent=None,
                    erased=True,
                )
        return len(told)

    def wait(self, seconds: float) -> None:
        with self._store.lock:
            self._store.lock.wait_for(lambda: self._store.commits != self._seen, timeout=seconds)
            self._seen = self._store.commits

    def served_otherwise(self, model: str) -> Sequence[UUID]:
        with self._store.lock:
            return sorted(
                id
                for state in self._store.tenants.values()
                for id, serving in state.serving.items()
                if serving != model
            )

    def tenants(self, *, after: UUID | None, limit: int) -> Sequence[Tenant]:
        with self._store.lock:
            everyone = {id: tenant for state in self._store.tenants.values() for id, tenant in state.tenants.items()}
        return [everyone[id] for id in sorted(everyone) if after is None or id > after][:limit]

    def events(
        self, where: EventFilter, *, tenant_id: UUID, after: int, limit: int, newest: bool = False
    ) -> Sequence[Event]:
        with self._store.lock:
            return list_events(tenant_id, self._store.state(tenant_id), where, after=after, limit=limit, newest=newest)

    def stream_stats(self) -> Sequence[StreamStats]:
        now = self._store.clock.now()
        with self._store.lock:
            jobs = [kept.job for state in self._store.tenants.values() for kept in state.jobs.values()]
        return [
            StreamStats(
                stream=stream,
                counts=dict(Counter(job.status.value for job in jobs if job.stream == stream)),
                oldest_seconds=max(
                    (
                        max((now - max(job.created_at, job.due_at)).total_seconds(), 0.0)
                        for job in jobs
                        if job.stream == stream and job.status in OPEN_STATUSES
                    ),
                    default=0.0,
                ),
                retries=sum(max(job.attempts - 1, 0) for job in jobs if job.stream == stream),
            )
            for stream in sorted({job.stream.value for job in jobs})
        ]

    def stage_counts(self) -> Sequence[tuple[str, str, int]]:
        total: Counter[tuple[str, str]] = Counter()
        with self._store.lock:
            for state in self._store.tenants.values():
                for (_, stage, status), records in state.counts.items():
                    total[stage, status] += records
        return [(stage, status, records) for (stage, status), records in total.items()]

    def connection_counts(self) -> Sequence[tuple[str, str, int]]:
        with self._store.lock:
            states = self._store.tenants.values()
            counts = Counter((c.connector, c.health.value) for state in states for c in state.connections.values())
        return [(connector, health, number) for (connector, health), number in counts.items()]

    def sync_counts(self) -> Sequence[tuple[str, str, int, int]]:
        runs: Counter[tuple[str, str]] = Counter()
        records: Counter[tuple[str, str]] = Counter()
        with self._store.lock:
            for state in self._store.tenants.values():
                for key, (times, stored) in state.sync_counts.items():
                    runs[key] += times
                    records[key] += stored
        return [(*key, times, records[key]) for key, times in runs.items()]

    def announce_plugins(self, role: Role, inventory: Inventory) -> None:
        with self._store.lock:
            self._store.inventories[role, inventory.digest] = (inventory, self._store.clock.now())

    def inventories(self, role: Role, *, seconds: float) -> Sequence[Inventory]:
        with self._store.lock:
            now, told = self._store.clock.now(), sorted(self._store.inventories.items(), key=lambda item: item[0])
        return [inventory for (of, _), (inventory, at) in told if of is role and not _before(at, now, seconds)]

    def ready(self) -> bool:
        return True


def _kept_seconds(state: TenantState, at_most: float) -> float:
    """How long payloads of the tenant are kept."""
    days = [tenant.settings.payload_retention_days for tenant in state.tenants.values()]
    return min([at_most, *(kept * DAY for kept in days if kept is not None)])


def _before(at: datetime | None, now: datetime, seconds: float) -> bool:
    return at is not None and at < now - timedelta(seconds=seconds)


def _headers(job: Job) -> dict[str, str]:
    headers = {"request_id": job.request_id, "traceparent": job.trace_parent}
    return {name: value for name, value in headers.items() if value is not None}
