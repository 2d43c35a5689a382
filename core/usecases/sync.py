"""connections:sync: a source is read stream by stream, each batch stored with the cursor that is safe then."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from core.domain.billing import Access, Terms
from core.domain.connections import (
    MAX_CURSOR,
    MAX_STREAMS,
    Connection,
    Import,
    ImportStatus,
    StreamCursor,
    check_enabled,
    check_streams,
)
from core.domain.events import EventType, NewEvent
from core.domain.health import Health, LogLine, blacken, diagnose, jitter_of
from core.domain.jobs import Job
from core.domain.plugins import Batch
from core.domain.records import identify
from core.domain.tenants import worker_actor
from core.errors import Conflict, Invalid, NotFound
from core.usecases.shared.admitting import entitled
from core.usecases.shared.connection_health import note_health
from core.usecases.shared.receipt_deliveries import store_receipts
from core.usecases.shared.source import Source, SourceTrouble, open_source
from core.usecases.shared.storing import (
    BATCH,
    TOLD_REFUSALS,
    Delivery,
    Progress,
    checked_drafts,
    import_so_far,
    store_batch,
)
from core.usecases.shared.syncing import sync_job
from ports.clock import Clock, Ids
from ports.connectors import HttpClients, PluginHost, ReadRequest
from ports.files import FileStore
from ports.receipts import Sniffer
from ports.secrets import SecretBox
from ports.storage import Transaction, UnitOfWork

DONE, CONTINUED = "done", "continued"
READ_ONLY = "not synced: the tenant is read-only until its subscription is paid"


def sync_connection(
    job: Job,
    *,
    max_records: int,
    max_seconds: float,
    terms: Terms,
    uow: UnitOfWork,
    host: PluginHost,
    secrets: SecretBox,
    clients: HttpClients,
    max_receipt_bytes: int,
    files: FileStore,
    sniffer: Sniffer,
    clock: Clock,
    ids: Ids,
) -> None:
    """Reads the connection that the job names from where it was read to. After `max_records` or `max_seconds` the rest
    is another job's.

    What goes wrong at the source is noted in the connection's health, which says when it is tried again, and ends the
    job. Raises `Transient` where the storage does not answer, and `LeaseLost`.
    """
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    with uow.begin(actor) as tx:
        try:
            connection = tx.connections.get(UUID(job.payload["connection_id"]))
            check_enabled(connection)
        except (NotFound, Conflict):  # it was deleted or disabled before its turn came
            tx.jobs.finish(job)
            tx.commit()
            return
        if entitled(tx, terms, clock).access is Access.READ_ONLY:  # what is at the source stays there to be read
            tx.syncs.log(connection.id, [LogLine(id=ids.new(), at=clock.now(), level="warning", text=READ_ONLY)])
            tx.jobs.finish(job)
            tx.commit()
            return
        tenant, cursors = tx.tenants.get(), dict(tx.syncs.cursors(connection.id))
    imported = _new_import(job, connection, clock.now())
    delivery = Delivery(job=job, actor=actor, tenant=tenant, imported=imported, connection=connection, terms=terms)
    share = (max_records, clock.now() + timedelta(seconds=max_seconds))
    receive = partial(
        store_receipts,
        delivery,
        max_receipt_bytes=max_receipt_bytes,
        uow=uow,
        files=files,
        sniffer=sniffer,
        clock=clock,
        ids=ids,
    )
    run = _Run(delivery, cursors, share, receive, uow=uow, clock=clock, ids=ids)
    try:
        currency = tenant.settings.default_currency
        source = open_source(actor, connection, currency, host=host, secrets=secrets, clients=clients)
        run.read(source)
    except SourceTrouble as trouble:
        run.end(trouble)
    else:
        run.end(run.oddity())


class _Run:
    """One job's reading: what it stored so far, and the streams that it still has to read."""

    def __init__(
        self,
        delivery: Delivery,
        cursors: dict[str, StreamCursor],
        share: tuple[int, datetime],
        receive: Callable[[Batch], Batch],
        *,
        uow: UnitOfWork,
        clock: Clock,
        ids: Ids,
    ) -> None:
        job = delivery.job
        self._delivery = delivery
        self._job, self._connection = job, delivery.connection
        self._cursors = cursors
        self._receive = receive
        self._max_records, self._until = share
        self._uow, self._clock, self._ids = uow, clock, ids
        self._source: Source | None = None
        counts = job.progress.get("counts")
        self._progress = Progress(**counts) if counts else Progress()
        self._streams: list[str] = list(job.progress.get("streams") or job.payload.get("streams") or ())
        self._put_off: list[str] = []
        """Streams that were cut short, whose rest is the next job's."""

    def read(self, source: Source) -> None:
        """Reads the streams until there are none, or the job has had its share. Raises `SourceTrouble`."""
        self._source = source
        if not self._streams:
            self._streams = list(self._connection.streams or _discovered(source))
        while self._streams and not self._put_off:
            if not self._read_stream(source, self._streams[0]):
                self._put_off = [self._streams[0]]
            self._streams = self._streams[1:]

    def _read_stream(self, source: Source, stream: str) -> bool:
        """Whether it was read to its end."""
        cursor = self._usable_cursor(source, stream)
        try:
            return self._read_from(source, stream, cursor)
        except SourceTrouble as trouble:
            if trouble.code != "cursor_invalid":
                raise
        source.log.logger.warning("%s: the source no longer knows the cursor: read from the beginning", stream)
        with self._uow.begin(self._delivery.actor) as tx:
            tx.jobs.hold(self._job)
            tx.syncs.forget_cursors(self._connection.id, stream)
            tx.commit()
        self._cursors.pop(stream, None)
        try:
            return self._read_from(source, stream, None)
        except SourceTrouble as trouble:
            if trouble.code == "cursor_invalid":
                raise SourceTrouble("plugin_bug", f"{stream}: refuses a cursor where it was given none") from None
            raise

    def _usable_cursor(self, source: Source, stream: str) -> Mapping[str, Any] | None:
        """Where to go on, in the form that the connector writes now; None: at the beginning."""
        kept, present = self._cursors.get(stream), source.manifest.state_version
        if kept is None or kept.state_version == present:
            return None if kept is None else kept.cursor
        migrated = None
        if kept.state_version < present:
            with source.asked():
                migrated = source.connector.migrate_state(kept.cursor, kept.state_version)
                if migrated is not None:
                    _check_cursor(migrated)
        if migrated is None:
            message = "%s: its cursor has form %d, not %d: read from the beginning"
            source.log.logger.warning(message, stream, kept.state_version, present)
        return migrated

    def _read_from(self, source: Source, stream: str, cursor: Mapping[str, Any] | None) -> bool:
        request = ReadRequest(stream=stream, cursor=cursor, batch_size=BATCH)
        occurrences: dict[tuple[str, str], int] = {}
        with source.asked():
            batches = iter(source.connector.read(source.context, request))
        try:
            while True:
                with source.asked():
                    batch = next(batches, None)
                    if batch is not None:
                        _check_batch(batch)
                if batch is None:
                    return True
                self._store(source, stream, batch, occurrences)
                if self._had_its_share():
                    if (reached := self._cursors.get(stream)) is None or reached.cursor == cursor:
                        raise SourceTrouble("plugin_bug", f"{stream}: gives records and no cursor that tells how far")
                    return False
        finally:
            with suppress(Exception), source.asked():
                if (close := getattr(batches, "close", None)) is not None:
                    close()

    def _had_its_share(self) -> bool:
        return self._progress.items >= self._max_records or self._clock.now() >= self._until

    def _store(self, source: Source, stream: str, batch: Batch, occurrences: dict[tuple[str, str], int]) -> None:
        batch = self._receive(batch)
        with source.asked():  # what are no drafts of the contract, too, is the plugin's bug
            drafts, refusals = checked_drafts(batch.drafts, batch.refusals, self._progress.items)
            drafts = list(identify(drafts, occurrences))
            refusals = [replace(one, reason=blacken(one.reason, source.words)) for one in refusals]
        for refusal in refusals[:TOLD_REFUSALS]:
            source.log.logger.warning("%s: item %d is refused: %s", stream, refusal.position, refusal.reason)
        reached = None
        if batch.cursor is not None:
            version = source.manifest.state_version
            reached = StreamCursor(stream=stream, cursor=batch.cursor, state_version=version)
        told = 0

        def keep(tx: Transaction, progress: Progress, whole: bool) -> None:
            nonlocal told
            exists = _ensure_import(tx, self._delivery, progress)
            if not whole:
                return
            tx.jobs.hold(self._job, {"counts": asdict(progress), "streams": self._streams})
            if exists:
                tx.imports.update(import_so_far(self._delivery.imported, progress))
            if reached is not None:
                tx.syncs.put_cursor(self._connection.id, reached)
            told = source.log.written(tx, self._connection.id, self._ids)

        progress = self._progress.with_batch(batch, refusals)
        pieces = [drafts[at : at + BATCH] for at in range(0, len(drafts), BATCH)] or [[]]
        for number, piece in enumerate(pieces, start=1):
            whole = number == len(pieces)
            progress = store_batch(
                self._delivery, piece, progress, keep, uow=self._uow, clock=self._clock, ids=self._ids, whole=whole
            )
        self._progress = progress
        source.log.forget(told)
        if reached is not None:
            self._cursors[stream] = reached

    def oddity(self) -> SourceTrouble | None:
        """What is wrong with a sync in which nothing went wrong: checks that pass and syncs that bring nothing."""
        counts = self._progress
        if not self._cursors and not counts.items and not counts.refused:
            return SourceTrouble("empty", "the source gave neither a record nor a cursor")
        if counts.refused and not counts.inserted and not counts.known:
            return SourceTrouble("refused", f"all {counts.refused} records were refused: {_first_reason(counts)}"[:300])
        return None

    def end(self, trouble: SourceTrouble | None) -> None:
        """Notes in one transaction what became of it, and queues the rest if there is any."""
        log = self._source.log if self._source is not None else None
        if log is not None:
            counts = self._progress
            log.logger.info("%d new, %d known, %d refused", counts.inserted, counts.known, counts.refused)
            if trouble is not None:
                log.logger.error("%s: %s", trouble.code, trouble.message)
        with self._uow.begin(self._delivery.actor) as tx:
            # First, as who starts a sync does, so that none waits for another in a circle.
            now = tx.connections.get(self._connection.id, lock=True)
            tx.jobs.finish(self._job)
            outcome = trouble.code if trouble is not None else CONTINUED if self._put_off else DONE
            tx.syncs.count(now.connector, outcome, self._progress.inserted)
            self._end_import(tx, trouble)
            if log is not None:
                log.written(tx, now.id, self._ids)
            self._note(tx, now, trouble)
            if trouble is None and self._put_off and now.disabled_at is None:
                streams = [*self._streams, *self._put_off]
                tx.jobs.add([sync_job(self._delivery.actor, now.id, self._job.max_attempts, self._ids, streams)])
            tx.commit()

    def _note(self, tx: Transaction, now: Connection, trouble: SourceTrouble | None) -> None:
        if now.disabled_at is not None:
            return
        at = self._clock.now()
        scheduled = _scheduled(now, self._delivery.imported.created_at, at)
        if trouble is None:
            well = replace(now, health=Health.HEALTHY, failures=0, next_sync_at=scheduled, last_synced_at=at)
            note_health(tx, well, now.health, clock=self._clock, ids=self._ids)
        elif now.version == self._connection.version:  # else a person changed meanwhile what went wrong
            means = diagnose(
                trouble.code,
                failures=now.failures,
                jitter=jitter_of(self._job.id),
                retry_after=trouble.retry_after,
                declared=trouble.declared,
            )
            again = None if means.retry_seconds is None else at + timedelta(seconds=means.retry_seconds)
            if means.health is Health.DEGRADED and again is None:
                again = scheduled
            ill = replace(now, health=means.health, failures=means.failures, next_sync_at=again)
            told = {"code": trouble.code, "message": trouble.message, "action": means.action}
            note_health(tx, ill, now.health, **told, clock=self._clock, ids=self._ids)

    def _end_import(self, tx: Transaction, trouble: SourceTrouble | None) -> None:
        """What was stored stays, also where the source failed then: its import is done, and tells why it ended."""
        if not _ensure_import(tx, self._delivery, self._progress):
            return
        imported = import_so_far(self._delivery.imported, self._progress)
        failure = None if trouble is None else trouble.message
        tx.imports.update(replace(imported, status=ImportStatus.DONE, failure=failure, finished_at=self._clock.now()))
        counts = {name: getattr(self._progress, name) for name in ("inserted", "known", "refused", "held")}
        tx.events.append([NewEvent(type=EventType.IMPORT_DONE, subject_id=imported.id, payload=counts)])


def _scheduled(connection: Connection, started: datetime, now: datetime) -> datetime | None:
    if connection.schedule_seconds is None:
        return None
    return max(started + timedelta(seconds=connection.schedule_seconds), now)


def _discovered(source: Source) -> Sequence[str]:
    with source.asked():
        names = tuple(stream.name for stream in source.connector.discover(source.context))
    try:
        return check_streams(names[:MAX_STREAMS]) or ()
    except Invalid as error:
        raise SourceTrouble("plugin_bug", f"what it discovers: {error}") from None


def _check_batch(batch: object) -> None:
    """Raises `TypeError` or `ValueError`, which is the plugin's bug."""
    if not isinstance(batch, Batch):
        raise TypeError(f"it gave {type(batch).__name__}, not a Batch")
    if batch.cursor is not None:
        _check_cursor(batch.cursor)


def _check_cursor(cursor: Mapping[str, Any]) -> None:
    written = json.dumps(cursor, ensure_ascii=False, allow_nan=False)
    written.encode()
    if not isinstance(cursor, Mapping) or len(written) > MAX_CURSOR or "\\u0000" in written:
        raise ValueError(f"a cursor is a JSON object of at most {MAX_CURSOR} characters")


def _first_reason(progress: Progress) -> str:
    return str(progress.refusals[0]["reason"]) if progress.refusals else ""


def _new_import(job: Job, connection: Connection, now: datetime) -> Import:
    return Import(
        id=UUID(job.payload["import_id"]),
        tenant_id=job.tenant_id,
        connection_id=connection.id,
        job_id=job.id,
        filename="",
        bytes=0,
        sha256="",
        approved=False,
        status=ImportStatus.READING,
        inserted=0,
        known=0,
        refused=0,
        refusals=(),
        gaps=(),
        failure=None,
        created_at=now,
        finished_at=None,
    )


def _ensure_import(tx: Transaction, delivery: Delivery, progress: Progress) -> bool:
    """Whether the sync has an import: from the first record on that it stored."""
    if not progress.inserted:
        return False
    try:
        tx.imports.get(delivery.imported.id)
    except NotFound:
        imported = tx.imports.add(delivery.imported, [])
        payload = {"bytes": 0, "sha256": imported.sha256, "connector": delivery.connection.connector}
        tx.events.append([NewEvent(type=EventType.IMPORT_RECEIVED, subject_id=imported.id, payload=payload)])
    return True
