"""The unit of work and its repositories: everything that is stored, tenant by tenant.

A transaction belongs to one tenant and sees nothing of another. Nothing is kept unless `commit` was called. Methods
are batch-first; those that change guard by state or version and raise when the guard fails. What takes an id raises
`NotFound` for one that is unknown, and `Invalid` for one that it would point to (a category, a connection). After an
error that a method raised, leave the transaction: what it did is lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, BinaryIO, Protocol
from uuid import UUID

from core.domain.connections import Import
from core.domain.decisions import Decision
from core.domain.events import Event, EventFilter, NewEvent
from core.domain.facets import Facets
from core.domain.jobs import Job, NewJob
from core.domain.learning import Arrival
from core.domain.record_filters import RecordFilter as RecordFilter
from core.domain.records import Draft, Record, Snapshot
from core.domain.rule_history import Past
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
from ports.report_storage import Figures, Reports
from ports.review_storage import Approvals, Embeddings, Examples
from ports.rule_storage import Proposals, RuleRuns, Rules
from ports.view_storage import Views
from ports.webhook_storage import WebhookDeliveries


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What became of a batch of drafts: the ids of new records in the drafts' order, and of those of them that are to
    be sorted (`open`); how many were `known` already, twice in the batch, or deleted before; and how many records,
    pending so far, were posted (`updated`)."""

    inserted: tuple[UUID, ...]
    known: int
    updated: int
    open: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What became of some changes of a rule run: how many records were `restored`, how many `kept` as somebody made
    them since; the `last` one's id (None when there was nothing left to undo); and by how much the restored ones change
    the `hits` of rules."""

    restored: int
    kept: int
    last: UUID | None
    hits: Mapping[UUID, int]


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


class Records(Protocol):
    def store(
        self,
        drafts: Sequence[tuple[UUID, Draft, date]],
        *,
        connection_id: UUID,
        import_id: UUID,
        categories: Mapping[str, UUID] | None = None,
    ) -> Stored:
        """Adds what is new, with an `INGESTED` event each; posts what was pending (`UPDATED`), in place also where it
        got a new id, and then knows it by both; leaves alone what is known or was deleted. Each comes with its new id
        (rising) and its calendar day in the tenant's time zone, and carries an external_id. With `categories`
        (normalised names to ids), drafts that name one are stored as approved by a person, with an example and a
        `TX_APPROVED` event each."""
        ...

    def known(self, connection_id: UUID, keys: Sequence[tuple[str, str]]) -> int:
        """How many of these (account, external_id) are stored or were deleted."""
        ...

    def open_between(self, import_id: UUID, first: UUID, last: UUID) -> Sequence[Snapshot]:
        """The import's records in that range of ids that are still `ingested` and that no stage was asked about, by
        id."""
        ...

    def snapshots(self, where: RecordFilter, *, before: UUID | None, limit: int) -> Sequence[Snapshot]:
        """Records in short, the newest (highest id) first; `before` is the last id of the page before."""
        ...

    def facets(self, where: RecordFilter, *, most: int, values: int) -> Facets:
        """How many records in the filter have each value of each facet, each facet without its own part of the filter
        (a month without `since` and `until`): the `values` commonest. Of more than `most` records (of the import, where
        one is named) only the newest are looked at."""
        ...

    def count(self, where: RecordFilter) -> int: ...

    def past(self, asked: Sequence[tuple[UUID, str, date]], limit: int) -> Sequence[Sequence[Past]]:
        """For each (record, party, day), in order, the latest `limit` other records on or before that day whose
        counterparty (or text, where they have none) is `party`, the latest first, then by falling id."""
        ...

    def amounts(self, category: str, currency: str, limit: int) -> Sequence[Decimal]:
        """Amounts in `currency` of the latest `limit` records that people put into the category with this key, the
        latest day first, then by falling id; empty for an unknown category."""
        ...

    def open_among(self, ids: Sequence[UUID]) -> Sequence[Record]:
        """Those of these records that are still `ingested`, by id, `raw` left empty."""
        ...

    def decide(
        self, decisions: Sequence[Decision], said: Mapping[UUID, Arrival] | None = None, version: int = 0
    ) -> Sequence[UUID]:
        """Writes decisions to records that are still `ingested`, with their approval items, a `PROCESSED` event each
        and the counters of the day; returns the ids of the records that changed, rising. A decision with `open_stage`
        only keeps its trace so far and raises no event. Of what changed is noted what the ensemble of
        that `version` `said` of it, by record, as `Lessons.arrive` does."""
        ...

    def redecide(self, run_id: UUID, decisions: Sequence[tuple[Decision, int]]) -> Sequence[UUID]:
        """Writes decisions to records that were decided before, for a rule run: where the record still has the version
        that comes with the decision, is `processed`, `needs_review` or `failed`, and the decision's category (if any)
        still exists. Attributes that are there stay. Its open approval goes, and comes anew if the decision asks for
        one. Notes what was before and is now among the run's changes, with a `PROCESSED` event each that names the
        run. Returns the ids of the records that changed, rising."""
        ...

    def restore(self, run_id: UUID, *, after: UUID | None, limit: int) -> Restored:
        """Undoes the run's next `limit` changes, in the order of the records' ids: each record that nobody changed
        since gets back all that the run changed, and its open approval, with an `UPDATED` event (`change`: `undone`).
        An earlier run whose result that was can then be undone as if the later one had not been."""
        ...

    def get(self, id: UUID, *, lock: bool = False) -> Record:
        """With `lock` nobody else changes it until the transaction ends. Lock its open approval, if it matters, first
        (`Approvals.open_of`): all that change both do it in this order, so that none waits for another in a circle."""
        ...

    def get_many(self, ids: Sequence[UUID], *, lock: bool = False) -> Sequence[Record]:
        """In the order of `ids`; raises `NotFound` when one is missing."""
        ...

    def present(self, ids: Collection[UUID]) -> Sequence[Record]:
        """Those of these records that are there (still), by rising id."""
        ...

    def page(self, where: RecordFilter, *, after: UUID | None, limit: int) -> Sequence[Mapping[str, Any]]:
        """Records by rising id, as mappings of `Record`'s fields but for `raw` and `tenant_id`: lists are hot, and
        these go out as they are. `after` is the last id of the page before."""
        ...

    def update(self, changed: Sequence[Record]) -> None:
        """Writes category, status, stage, confidence, trace, tags, attributes and failure, guarded by version, which
        then rises; raises `VersionMismatch` or `NotFound`."""
        ...

    def delete(self, id: UUID, version: int | None) -> None:
        """Removes the record with its approval and example, leaving a tombstone, so that no import brings it back; with
        a `DELETED` event. Receipts that were linked to it are so no longer."""
        ...

    def expire(self, before: date, *, after: UUID | None, limit: int) -> Sequence[UUID]:
        """Removes, as `delete` does but without telling it, the next `limit` records by rising id, above `after`, that
        occurred before that day; returns their ids, rising."""
        ...

    def undo_import(self, import_id: UUID) -> tuple[int, int]:
        """Removes the records that the import added, with what hangs on them and a `DELETED` event each, but for those
        that a person decided since; returns (removed, kept). No tombstones: the same file may come again."""
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

    def list(self, *, stream: str | None, statuses: Sequence[str], after: UUID | None, limit: int) -> Sequence[Job]:
        """By rising id; `after` is the last one of the page before, no statuses are all."""
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

    def list(self, where: EventFilter, *, after: int, limit: int) -> Sequence[Event]:
        """Sealed events with a `seq` above `after`, in order."""
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
