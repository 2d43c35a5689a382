"""What is done across tenants: the relay's, the sealer's and the operator's work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from core.domain.events import Event, EventFilter, Verification
from core.domain.inventories import Inventory, Role
from core.domain.oauth import SignIn
from core.domain.report_schedules import Schedule
from core.domain.tenants import ApiKey, Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStats:
    """A stream as an operator sees it: jobs by status, seconds since the oldest open one was due (0 without any),
    and attempts beyond the first."""

    stream: str
    counts: Mapping[str, int]
    oldest_seconds: float
    retries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReport:
    """A report definition whose turn has come, and the time zone in which its schedule is told."""

    tenant_id: UUID
    definition_id: UUID
    schedule: Schedule
    zone: ZoneInfo
    next_run_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTurn:
    """The turn `slot` of a report that is due, on the tenant's day `today`, and the one `following`; with ids for its
    run and its job."""

    due: DueReport
    slot: datetime
    today: date
    following: datetime
    run_id: UUID
    job_id: UUID


class SystemStorage(Protocol):
    """What is done across tenants, each call a transaction of its own: the relay's, the sealer's, the operator's work,
    and what must be found before the tenant is known."""

    def find_api_key(self, key_id: str) -> ApiKey | None: ...

    def tenant_of_connection(self, connection_id: UUID) -> UUID | None: ...

    def take_sign_in(self, state_hash: bytes) -> SignIn | None:
        """The sign-in with this state, which is used up by that."""
        ...

    def take_due(
        self, *, share: int, limit: int, shares: Mapping[str, int] = MappingProxyType({})
    ) -> AbstractContextManager[Sequence[tuple[UUID, UUID, str, Mapping[str, str]]]]:
        """Due jobs as (tenant, job, stream, headers), locked while the context is open, and marked as published when
        it ends without an error; at most `share` of a tenant and stream are in flight at once, of streams that are in
        `shares` as many as these say."""
        ...

    def queue_syncs(self, ids: Sequence[UUID], *, max_attempts: int) -> int:
        """Queues a sync of each connection that is due, as many at most as half of the `ids` (of jobs, then of their
        imports), and has no open one; returns how many. However many call it at once, none is queued twice."""
        ...

    def due_reports(self, limit: int) -> Sequence[DueReport]:
        """Those whose turn has come, the longest due first."""
        ...

    def queue_reports(self, turns: Sequence[ReportTurn], *, max_attempts: int) -> int:
        """Queues these turns and moves the definitions on; returns how many. One whose definition was moved on or
        changed since it was seen is left alone: however many call it at once, none is queued twice."""
        ...

    def old_reports(self, *, seconds: float, limit: int) -> Sequence[tuple[UUID, UUID]]:
        """(tenant, run) of reports that ended so long ago and whose files are still kept."""
        ...

    def expire_reports(self, runs: Sequence[tuple[UUID, UUID]]) -> int:
        """Notes that their files are gone; returns of how many."""
        ...

    def reap(self, *, republish_after: float) -> int:
        """Returns expired leases to the queue, and queues again what was published and not claimed for so many
        seconds; returns how many. A job whose attempts are used up is claimed once more, by who fails it."""
        ...

    def seal(self) -> int:
        """Gives committed events their `seq`, tenant by tenant, and chains their digests; returns how many batches (one
        a transaction) it sealed: call it until there are none."""
        ...

    def verify_events(self, tenant_id: UUID) -> Verification:
        """Whether the tenant's sealed events are what was sealed."""
        ...

    def sweep(self, *, payload_seconds: float, job_seconds: float, key_seconds: float) -> int:
        """Drops payloads of imports and of webhooks that ended so long ago (or as long as their tenant keeps them, if
        that is shorter), sign-ins that nobody finished, jobs that are done and sessions that are over, idempotency
        keys, what reviewers skipped `SKIPPED` ago, and browsers that were not seen for `DEVICE_TIME`; returns how many
        rows went. Dead jobs stay."""
        ...

    def forget_callers(self, limit: int) -> int:
        """Forgets who acted, from where and with which program, in events that are older than their tenant keeps that:
        of so many transactions at most. Returns of how many. What was done stays told, and the chain of digests
        whole."""
        ...

    def wait(self, seconds: float) -> None:
        """Returns when jobs or events were committed since the last call (the first call may return at once), at the
        latest after so many seconds."""
        ...

    def served_otherwise(self, model: str) -> Sequence[UUID]:
        """The tenants whose examples are searched by another model, by id."""
        ...

    def tenants(self, *, after: UUID | None, limit: int) -> Sequence[Tenant]:
        """By rising id."""
        ...

    def events(
        self, where: EventFilter, *, tenant_id: UUID, after: int, limit: int, newest: bool = False
    ) -> Sequence[Event]: ...

    def stream_stats(self) -> Sequence[StreamStats]: ...

    def stage_counts(self) -> Sequence[tuple[str, str, int]]:
        """(stage, status, records) of decisions over all tenants, since the beginning; the stage of what none was sure
        of is ''."""
        ...

    def connection_counts(self) -> Sequence[tuple[str, str, int]]:
        """(connector, health, connections) over all tenants."""
        ...

    def sync_counts(self) -> Sequence[tuple[str, str, int, int]]:
        """(connector, outcome, how often, records stored) of syncs and files over all tenants, since the beginning."""
        ...

    def announce_plugins(self, role: Role, inventory: Inventory) -> None:
        """Tells that a process of this role has these plugins now."""
        ...

    def inventories(self, role: Role, *, seconds: float) -> Sequence[Inventory]:
        """Those that processes of this role announced within so many seconds, each once."""
        ...

    def ready(self) -> bool:
        """Whether the database answers and its migrations are those of this release."""
        ...
