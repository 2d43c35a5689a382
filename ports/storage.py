"""The unit of work and its repositories: everything that is stored, tenant by tenant.

A transaction belongs to one tenant and sees nothing of another. Nothing is kept unless `commit` was called. Methods
are batch-first; those that change guard by state or version and raise when the guard fails. What takes an id raises
`NotFound` for one that is unknown, and `Invalid` for one that it would point to (a category, a connection). After an
error that a method raised, leave the transaction: what it did is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, BinaryIO, Protocol
from uuid import UUID

from core.domain.connections import Import
from core.domain.events import Event, EventFilter, NewEvent
from core.domain.jobs import Job, NewJob
from core.domain.record_filters import RecordFilter as RecordFilter
from core.domain.tenants import Actor, ApiKey, Tenant
from ports.billing_storage import Accounts, Held, Usages
from ports.category_storage import Categories
from ports.connection_storage import Connections, Sealed, Syncs
from ports.dashboard_storage import Overviews
from ports.evaluation_storage import Evaluations
from ports.learning_storage import Ensembles, Lessons
from ports.llm_storage import LlmAnswers, LlmUsages
from ports.member_storage import Invitations, Members
from ports.notification_storage import Endpoints, Notifications
from ports.oauth import OAuthStorage
from ports.promise_storage import Promises
from ports.receipt_storage import Receipts
from ports.record_storage import Records
from ports.report_storage import Figures, Reports
from ports.review_storage import Approvals, Embeddings, Examples
from ports.rule_storage import Proposals, RuleRuns, Rules
from ports.view_storage import Views
from ports.webhook_storage import WebhookDeliveries


class Tenants(Protocol):
    def get(self) -> Tenant:
        """The tenant of the transaction; raises `NotFound`."""
        ...

    def add(self, tenant: Tenant) -> None:
        """Raises `Conflict` when it exists."""
        ...

    def update(self, tenant: Tenant) -> None:
        """Writes name, time zone and settings if the stored version is `tenant.version`, which then rises by one, as
        does `rules_version` (settings say which packs are trusted); raises `VersionMismatch`."""
        ...

    def note_reading(self, now: datetime, since: datetime) -> bool:
        """Notes that the operator reads what is the tenant's; whether this is the first time `since` then."""
        ...

    def note_queue(self, told_at: datetime | None) -> bool:
        """Notes when it was told that the queue is over its limit; None: it no longer is. Whether that is news."""
        ...


class ApiKeys(Protocol):
    def add(self, key: ApiKey) -> None: ...

    def list(self) -> Sequence[ApiKey]: ...

    def get(self, id: UUID) -> ApiKey: ...

    def revoke(self, id: UUID, now: datetime) -> ApiKey:
        """The key as it is then; one that was revoked before keeps its time."""
        ...

    def expire(self, id: UUID, latest: datetime) -> ApiKey:
        """The key, which ends then, or before that if it was to. Raises `NotFound`, or `Conflict` for one that was
        revoked."""
        ...

    def touch(self, id: UUID, now: datetime) -> None:
        """Notes the use of a key, at most once a minute."""
        ...


class Imports(Protocol):
    def add(self, imported: Import, payload: Iterable[bytes]) -> Import:
        """Keeps the payload in pieces, and gives the import back with the payload's `bytes` and `sha256`."""
        ...

    def get(self, id: UUID) -> Import: ...

    def list(self, *, before: UUID | None, limit: int, connection_id: UUID | None = None) -> Sequence[Import]:
        """Newest first, of one connection or of all; `before` is the last id of the page before."""
        ...

    def open(self, id: UUID) -> BinaryIO:
        """The payload from its start, read piece by piece; raises `NotFound` when it was dropped."""
        ...

    def update(self, imported: Import) -> None:
        """Writes status, counts, refusals, failure and the end. Raises `NotFound`, or `Conflict` when it was undone."""
        ...


class Jobs(Protocol):
    def add(self, jobs: Sequence[NewJob]) -> None:
        """Queues jobs; they are published after the commit, and due after their `delay_seconds`. Raises `Conflict` for
        a sync of a connection that has an open one."""
        ...

    def waiting(self, stream: str, payload: Mapping[str, Any] | None = None) -> bool:
        """Whether a job of the stream (with just this payload, if one is given) is queued that no worker has begun.
        None begins it before this transaction ends, so that it will see what is committed now."""
        ...

    def open_sync(self, connection_id: UUID) -> Job | None:
        """The connection's sync that is queued or runs."""
        ...

    def get(self, id: UUID) -> Job: ...

    def list(
        self, *, stream: str | None, statuses: Sequence[str], after: UUID | None, limit: int, newest: bool = False
    ) -> Sequence[Job]:
        """By rising id, or with `newest` by falling; `after` is the last one of the page before. No statuses are
        all."""
        ...

    def counts(self, statuses: Sequence[str]) -> Mapping[tuple[str, str], int]:
        """How many jobs there are of these statuses, by (stream, status); what has none is left out."""
        ...

    def claim(self, id: UUID, token: UUID, seconds: float) -> Job | None:
        """Takes a lease on a queued or published job that is due, and counts an attempt; None when it can't be had."""
        ...

    def renew(self, job: Job, seconds: float) -> None:
        """Raises `LeaseLost` when another worker has the job."""
        ...

    def hold(self, job: Job, progress: Mapping[str, Any] | None = None) -> None:
        """Locks the job for this transaction and keeps its progress; raises `LeaseLost`: then nothing may commit."""
        ...

    def finish(self, job: Job) -> None:
        """Raises `LeaseLost`."""
        ...

    def fail(self, job: Job, error: str, *, due_at: datetime | None) -> None:
        """Back into the queue for `due_at`, or into the dead letters when that is None (the caller tells `JOB_DEAD`);
        raises `LeaseLost`."""
        ...

    def put_off(self, job: Job, reason: str, *, due_at: datetime) -> None:
        """Back into the queue, as if it had not been claimed; raises `LeaseLost`."""
        ...

    def replay(self, ids: Sequence[UUID]) -> Sequence[Job]:
        """Queues dead jobs again with fresh attempts; raises `NotFound` or `Conflict` (not dead, or a sync of a
        connection that has an open one)."""
        ...


class Events(Protocol):
    def append(self, events: Sequence[NewEvent]) -> None:
        """With the time, actor, agent and request of the transaction. They get their `seq` after the commit."""
        ...

    def list(self, where: EventFilter, *, after: int, limit: int, newest: bool = False) -> Sequence[Event]:
        """Sealed events with a `seq` above `after`, in order; with `newest` those below it (0: all), the newest
        first."""
        ...


class Transaction(Protocol):
    """An open transaction. The order of the attributes is that of DESIGN's words."""

    @property
    def tenants(self) -> Tenants: ...
    @property
    def members(self) -> Members: ...
    @property
    def invitations(self) -> Invitations: ...
    @property
    def api_keys(self) -> ApiKeys: ...
    @property
    def categories(self) -> Categories: ...
    @property
    def connections(self) -> Connections: ...
    @property
    def syncs(self) -> Syncs: ...
    @property
    def oauth(self) -> OAuthStorage: ...
    @property
    def sealed(self) -> Sealed: ...
    @property
    def imports(self) -> Imports: ...
    @property
    def deliveries(self) -> WebhookDeliveries: ...
    @property
    def records(self) -> Records: ...
    @property
    def receipts(self) -> Receipts: ...
    @property
    def approvals(self) -> Approvals: ...
    @property
    def examples(self) -> Examples: ...
    @property
    def embeddings(self) -> Embeddings: ...
    @property
    def llm_answers(self) -> LlmAnswers: ...
    @property
    def llm_usages(self) -> LlmUsages: ...
    @property
    def ensembles(self) -> Ensembles: ...
    @property
    def lessons(self) -> Lessons: ...
    @property
    def rules(self) -> Rules: ...
    @property
    def proposals(self) -> Proposals: ...
    @property
    def runs(self) -> RuleRuns: ...
    @property
    def promises(self) -> Promises: ...
    @property
    def overviews(self) -> Overviews: ...
    @property
    def figures(self) -> Figures: ...
    @property
    def reports(self) -> Reports: ...
    @property
    def evaluations(self) -> Evaluations: ...
    @property
    def views(self) -> Views: ...
    @property
    def billing(self) -> Accounts: ...
    @property
    def usages(self) -> Usages: ...
    @property
    def held(self) -> Held: ...
    @property
    def endpoints(self) -> Endpoints: ...
    @property
    def notifications(self) -> Notifications: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def events(self) -> Events: ...

    def commit(self) -> None: ...


class UnitOfWork(Protocol):
    def begin(self, actor: Actor) -> AbstractContextManager[Transaction]:
        """A transaction in the actor's tenant. Leaving it without `commit` rolls back.

        When the actor carries an Idempotency-Key, it is claimed first: raises `IdempotencyReplay` if a request with
        this key was carried out, `IdempotencyMismatch` if that was another request. Concurrent ones wait."""
        ...

    def snapshot(self, actor: Actor) -> AbstractContextManager[Transaction]:
        """A transaction in the actor's tenant that only reads, and all of it as of one moment, however long it takes
        and whatever others write meanwhile."""
        ...

    def saved_response(self, actor: Actor) -> tuple[int, bytes] | None:
        """Status and body that answered the request that claimed the actor's Idempotency-Key, if it was answered."""
        ...

    def save_response(self, actor: Actor, status: int, body: bytes) -> None: ...
